"""Texts and the token ids the reference gives them, with (`ids`) and without (`ids_raw`) its training-time clean-up."""
import hashlib
import json
import random
import unicodedata
from pathlib import Path

from cn_clip.clip import tokenize
from cn_clip.clip.bert_tokenizer import default_vocab
from cn_clip.training.data import _preprocess_text

OUT = Path(__file__).parent / "tokenizer.jsonl"
VOCAB_SHA256 = "45bbac6b341c319adc98a532532882e91a9cefc0329aa57bac9ae761c27b291c"

CAPTIONS = [
    "高级感托特包斜挎", "一只黑白相间的猫趴在窗台上看雨", "杰尼龟", "妙蛙种子", "小火龙", "皮卡丘",
    "春季新款女士碎花连衣裙显瘦", "纯棉男士短袖T恤 圆领 宽松", "不锈钢保温杯大容量1000ml", "儿童益智积木玩具3-6岁",
    "两个穿着红色球衣的男孩在草地上踢足球。", "一个小女孩正在海边堆沙子，她的狗在旁边看着。",
    "厨房里有一张木桌，上面放着一盘水果！", "街道上停着一辆黄色的出租车", "人们在雪地里滑雪。",
    "夕阳下的长城，游客寥寥无几……", "“限时特价”全场5折起", "《红楼梦》第一回：甄士隐梦幻识通灵",
    "一張傳統書法的照片", "臺灣日月潭的夜景", "繁體中文標題：龍鳳呈祥", "鬱鬱蔥蔥的樹林裡有條小溪", "髮型設計師為顧客剪髮",
    "香港維多利亞港的煙花匯演", "裏面裡面", "麵條與面條",
    "iPhone 14 Pro Max 256GB 深空黑", "Nike Air Max 270 男鞋US9.5", "USB-C转HDMI转换器4K@60Hz", "2023年11月11日双十一",
    "价格￥199.00元", "尺寸：30cm×40cm", "100%纯羊毛", "A4纸70g/m²", "3.14159", "1,234,567", "第1/2/3名", "0086-10-12345678",
    "https://example.com/a?b=1&c=2#d", "user@example.com", "C++和C#程序设计", "WiFi6路由器", "AI绘画", "T恤衫XXL码",
    "Hello, World!", "The quick brown fox jumps over the lazy dog", "unaffable", "UNAFFABLE", "internationalization",
    "don't stop", "mother-in-law", "e.g. this", "CamelCaseWord", "snake_case_word", "__init__", "a_b", "3D打印_模型",
    "ok啦", "中a文b混c排", "中 文 空 格", "I❤️北京", "KTV", "QQ群：123456",
]
ACCENTS = [
    "café", "cafe\u0301", "CAFÉ", "Ångström", "\u212bngstro\u0308m", "A\u030a", "naïve façade", "Zürich", "São Paulo",
    "Dvořák", "Łódź", "Øresund", "đồng Việt Nam", "e\u0301\u0302\u0303", "\u0301", "\u0301e", "中\u0301文", "ñandú",
    "Crème Brûlée 甜品", "ÀÁÂÃÄÅÆÇÈÉ", "Ｃａｆｅ\u0301", "\u1e9b\u0323", "≠ ≮ ≯", "\u037e \u1fef \u2126 \u212a",
    "İstanbul", "İ", "i\u0307", "ISPARTA ı", "DİYARBAKIR", "ß", "STRASSE straße", "ẞ", "ΟΔΥΣΣΕΥΣ", "Σ", "ΑΣ", "ΑΣ ΑΣΑ",
    "ΑΣ中ΑΣ", "ΑΣ\u200bΑ", "ΑΣ\u0000Α", "ΑΣ.Α", "ΑΣ'Α", "Ας ασ", "ﬁnance ﬂow ﬀ ﬃ", "Ĳssel ĳ", "ŉ", "ǅ ǆ Ǆ", "Ⅷ ⅷ", "Ⓐ ⓐ",
    "Москва", "ЙОГУРТ ёлка", "Ελληνικά", "עִבְרִית", "العَرَبِيَّة", "हिन्दी", "தமிழ்", "ภาษาไทย", "สวัสดีครับ", "ລາວ", "မြန်မာ", "ქართული", "ᲥᲐᲠᲗᲣᲚᲘ",
    "𐐀𐐨", "𝐇𝐞𝐥𝐥𝐨", "ᏣᎳᎩ",
]
ASIAN = [
    "ひらがな", "カタカナ", "がぎぐげご", "パピプペポ", "か\u3099", "ｶﾞｷﾞ 半角", "東京タワーの夜景", "ラーメン二郎", "々〆ヶ〇", "ー・",
    "한국어", "대한민국 서울", "가각간", "\u1100\u1161", "ㄱㄴㄷ", "ㄅㄆㄇ", "ｱｲｳ", "㍿㌔㈱", "①②③⑩", "㊗️",
    "𠮷野家", "𠀀𠀁𪛖", "𪜀𫝀𫠝", "𬺰", "𰀀", "㐀㐁䶵", "豈更車", "\uf900\ufa0e\ufa6a", "\U0002f800\U0002fa1d", "⺀⼀⿰", "龥鿿鿼", "囍",
]
WIDTH = [
    "ＡＢＣａｂｃ１２３", "ｉＰｈｏｎｅ１４", "，。！？：；（）【】《》", "！＂＃＄％＆＇（）＊＋，－．／", "：；＜＝＞？＠［＼］＾＿｀｛｜｝～",
    "￥￡￠￢￣￦", "「」『』〈〉〖〗", "——破折号——", "……省略号……", "·间隔号·", "～波浪～", "、顿号、", "全角\u3000空格", "％‰",
]
QUOTES = [
    "“双引号”", "‘单引号’", "\"直双\"", "'直单'", "“你好”‘世界’", "„low“ ‚low‘", "«guillemets» ‹single›", "“", "”", "“”", "‘", "’",
    "it’s", "it's", "\u2033\u2032\u201f\u201b", "＂全角＂", "『“嵌套”』",
]
SYMBOLS = [
    "$ ^ ~ ` + < = > |", "$^~`+<=>|", "a$b^c~d`e+f<g=h>i|j", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", "¥ € £ ¢ ₩ ₿", "± × ÷ ≈ ∞ √ ∑ π",
    "° ℃ ℉ ‰ № ™ © ®", "← ↑ → ↓ ⇒", "■ □ ● ○ ◆ ★ ☆", "♠ ♥ ♦ ♣ ♀ ♂", "─ │ ┌ ┐", "½ ¼ ² ³ ¹", "¡Hola! ¿Qué?", "§ ¶ † ‡ •", "‐ ‑ ‒ – — ―", "_", "___", "a__b",
    "##", "##abc", "a##b", "##的", "# 标题",
    "[SEP]", "[MASK]", "[CLS]你好[SEP]", "[UNK]", "[PAD]", "[unused1]", "[sep]", "中[MASK]文", "<S>", "<T>",
]
EMOJI = [
    "😀", "👍👍🏽", "👨\u200d👩\u200d👧\u200d👦", "❤️", "🇨🇳", "1️⃣", "好吃😋!", "☀", "☺️", "🀄", "😎a", "a😎", "😀😀😀", "♻️环保", "✈️🚗",
]
CONTROLS = [
    "", " ", "   ", "\t", "\n", "\r\n", "\u3000", "\u00a0", " \t\n\r\u00a0\u3000 ", "a\tb\nc\rd", "a\u00a0b", "a\u3000b", "中\u3000文",
    "\u0000", "a\u0000b", "中\u0000文", "\ufffd", "a\ufffdb", "\u0001\u0002a\u001fb\u007fc", "a\u000bb\u000cc", "a\u001cb\u001db", "a\u0085b",
    "a\u200bb", "a\u200cb\u200dc", "\ufeff开头BOM", "a\u2060b", "a\u00adb", "\u202eabc\u202c", "a\u180eb", "a\u2028b", "a\u2029b", "\u2028", "a\u1680b", "a\u2000b\u2001c\u2009d\u202fe\u205ff",
    "\U000e0001\U000e0041tag", "\ue000私用\uf8ff", "\ufffe\uffff", "\u034f\u061c\u115f\u1160\u17b4", "a\ufe0fb", "\U000e0100", "\u0600a\u06ddb\u070fc",
]
LONG = [
    "a" * 199, "a" * 200, "a" * 201, "a" * 250, "a" * 150, "ab" * 75, "x" * 101, "Z" * 100, "é" * 150, "é" * 200, "é" * 201, "e\u0301" * 201,
    "a" * 250 + "中", "中" + "a" * 201 + "文", "a-" * 120, "a" * 200 + "-" + "b" * 201, "İ" * 150, "İ" * 201, "9" * 200, "9" * 201,
    "中" * 49, "中" * 50, "中" * 51, "中" * 300, "很长的文字描述" * 20, "the quick brown fox " * 20, "。" * 80, "a b " * 40,
    "高级感托特包斜挎高级感托特包斜挎高级感托特包斜挎高级感托特包斜挎高级感托特包斜挎高级感托特包斜挎internationalization",
]
# Ranges the random strings draw from; unassigned code points are left out, as later Unicode versions assign them.
RANGES = [
    (0x00, 0x7F), (0x80, 0x24F), (0x250, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF), (0xE00, 0xE7F), (0x1100, 0x11FF),
    (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x20A0, 0x218F), (0x2190, 0x27BF), (0x2E80, 0x303F), (0x3040, 0x30FF), (0x3100, 0x33FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0x4E00, 0x9FFF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB00, 0xFDFF),
    (0xFE00, 0xFFFF), (0x10400, 0x1044F), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF), (0x2F800, 0x2FA1F),
]


def random_text(rng):
    chars = []
    length = rng.randint(1, 40)
    while len(chars) < length:
        low, high = rng.choice(RANGES)
        for _ in range(rng.randint(1, 4)):
            char = chr(rng.randint(low, high))
            if unicodedata.category(char) != "Cn":
                chars.append(char)
    return "".join(chars)


def main():
    assert hashlib.sha256(Path(default_vocab()).read_bytes()).hexdigest() == VOCAB_SHA256
    rng = random.Random(20240607)
    texts = CAPTIONS + ACCENTS + ASIAN + WIDTH + QUOTES + SYMBOLS + EMOJI + CONTROLS + LONG
    texts += [random_text(rng) for _ in range(100)]
    assert len(texts) == len(set(texts)), [t for t in texts if texts.count(t) > 1]
    differing = 0
    with OUT.open("w", encoding="ascii") as out:
        for text in texts:
            ids = tokenize([_preprocess_text(text)])[0].tolist()
            ids_raw = tokenize([text])[0].tolist()
            differing += ids != ids_raw
            line = {"text": text, "ids": ids, "ids_raw": ids_raw}
            out.write(json.dumps(line, separators=(",", ":")) + "\n")
    print(f"{len(texts)} texts, {differing} of them with ids different from ids_raw")


if __name__ == "__main__":
    main()
