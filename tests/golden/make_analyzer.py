"""What jieba and OpenCC make of captions: `make_analyzer.py [COUNT]` writes analyzer.jsonl; with `all` it compares nothing and prints every caption.

Needs jieba 0.42.1 and OpenCC 1.4.2. Lines: the text, its normal form, and the tokens of jieba's search mode that hold a letter or digit,
with HMM (`hmm`), without (`plain`), and with the user dictionary of DICTIONARY (`user`); the latter two only where they differ from `hmm`.
"""
import json
import logging
import random
import sys
import unicodedata
from pathlib import Path

import jieba
import opencc

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / "sample_data"
COUNT = 320
# As in analyzer.rs.
DICTIONARY = "# version: golden\n碳纤维 2000 n\n预浸料 n\n喷砂铝合金\n黑色碳纤维材料 n\n肤色 1\n"
PHRASES = "一目瞭然 不瞭解 藉口 憑藉 回覆 反覆 沈船 沈默 牴牾 衹得 乾隆 乾坤 擦乾 瞭望 明瞭 藉此 覆蓋 狼藉 沈先生 著名 看著 甚麼 薹菜 鐘錶 頭髮 出發 皇后 以後 面條 麵條 裏面 臺灣".split()
OTHERS = [
    "Type-C数据线2.0", "USB3.0 128GB", "C++和C#", "T恤衫XXL码", "5折起100%", "ＣＦＲＰ，表面！", "iPhone14ProMax", "中a文b混c排", "𠮷野家", "㍿㌔㈱①",
    "ｶﾞｷﾞ半角", "café 咖啡", "Straße", "ΟΔΥΣΣΕΥΣ", "😀笑脸👍", "杭研大厦", "小明硕士毕业于中国科学院计算所", "他来到了网易杭研大厦",
    "永和服装饰品有限公司", "工信处女干事每月经过下属科室都要亲口交代24口交换机等技术性器件的安装工作", "碳纤维预浸料", "喷砂铝合金外壳", "黑色碳纤维材料表面", "中等肤色",
    "", " ", "，。！", "a", "3.14", "一", "１２３４５", "A&B", "x_y", "10%-20%", "…省略…", "·间隔·",
]


def captions():
    found = {}
    for name in sorted(SAMPLES.glob("*/*_texts.jsonl")):
        for line in name.read_text(encoding="utf-8").splitlines():
            found[json.loads(line)["text"]] = None
    for line in (SAMPLES / "surfaces/captions.csv").read_text(encoding="utf-8").splitlines()[1:]:
        found[line.split(",")[1]] = None
    return list(found)


def segmenters():
    plain, domain = jieba.Tokenizer(), jieba.Tokenizer()
    for segmenter in (plain, domain):
        segmenter.initialize()
    for line in DICTIONARY.splitlines():
        fields = line.split("#")[0].split()
        if fields:
            digits = [int(field) for field in fields[1:] if field.isdigit()]
            domain.add_word(fields[0], *digits)
    return plain, domain


def main(texts):
    jieba.setLogLevel(logging.ERROR)
    convert = opencc.OpenCC("t2s").convert
    plain, domain = segmenters()

    def cut(segmenter, text, hmm=True):
        return [token for token in segmenter.cut_for_search(text, HMM=hmm) if any(map(str.isalnum, token))]

    for text in texts:
        normal = convert(unicodedata.normalize("NFKC", text)).lower()
        line = {"text": text, "normal": normal, "hmm": cut(plain, normal)}
        others = {"plain": cut(plain, normal, False), "user": cut(domain, normal)}
        line |= {name: tokens for name, tokens in others.items() if tokens != line["hmm"]}
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    everything = PHRASES + OTHERS + captions()
    if sys.argv[1:] == ["all"]:
        print("\n".join(main(everything)))
    else:
        chosen = random.Random(20240607).sample(captions(), int(sys.argv[1]) if sys.argv[1:] else COUNT)
        lines = list(main(dict.fromkeys(PHRASES + OTHERS + chosen)))
        (HERE / "analyzer.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        print(f"{len(lines)} texts")
