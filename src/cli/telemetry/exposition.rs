//! The text format of Prometheus: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
use std::fmt::Write;

/// One gauge with its samples.
#[derive(Debug, Clone)]
pub struct Gauge {
    pub name: &'static str,
    pub help: &'static str,
    pub samples: Vec<Sample>,
}

/// Name and value of a label.
pub type Label = (&'static str, String);

/// A value under labels.
#[derive(Debug, Clone)]
pub struct Sample {
    pub labels: Vec<Label>,
    pub value: f64,
}

/// All gauges; one without samples is left out.
pub fn render(gauges: &[Gauge]) -> String {
    let mut text = String::new();
    for gauge in gauges.iter().filter(|gauge| !gauge.samples.is_empty()) {
        let help = gauge.help.replace('\\', r"\\").replace('\n', r"\n");
        let _ = writeln!(text, "# HELP {0} {help}\n# TYPE {0} gauge", gauge.name);
        for sample in &gauge.samples {
            let _ = writeln!(text, "{}{} {}", gauge.name, labels(&sample.labels), sample.value);
        }
    }
    text
}

/// The labels of the first sample of `name`, and its value, in a text that [`render`] wrote.
pub fn find<'a>(text: &'a str, name: &str) -> Option<(&'a str, f64)> {
    text.lines().find_map(|line| {
        let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} ")?;
        Some((labels, value.parse().ok()?))
    })
}

/// The value of the first label in what [`find`] gave.
pub fn first_value(labels: &str) -> Option<String> {
    let (mut value, mut in_escape) = (String::new(), false);
    for c in labels.split_once("=\"")?.1.chars() {
        match (in_escape, c) {
            (false, '"') => return Some(value),
            (false, '\\') => in_escape = true,
            (true, 'n') => (value, in_escape) = (value + "\n", false),
            _ => {
                value.push(c);
                in_escape = false;
            }
        }
    }
    None
}

/// Labels between braces.
fn labels(labels: &[Label]) -> String {
    format!("{{{}}}", label_list(labels))
}

/// Labels as they stand between the braces.
pub fn label_list(labels: &[Label]) -> String {
    let written = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    written.collect::<Vec<_>>().join(",")
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_found_again() {
        let label = ("pipeline", "a\\nb\"c\nd} 7".to_owned());
        let sample = Sample { labels: vec![label.clone()], value: 1_795_727_700.5 };
        let gauges = [
            Gauge { name: "x_seconds", help: "A \\ and a\nbreak.", samples: vec![sample] },
            Gauge { name: "empty", help: "Nothing.", samples: Vec::new() },
        ];
        let text = render(&gauges);
        let expected = "# HELP x_seconds A \\\\ and a\\nbreak.\n# TYPE x_seconds gauge\n\
                        x_seconds{pipeline=\"a\\\\nb\\\"c\\nd} 7\"} 1795727700.5\n";
        assert_eq!(text, expected);
        assert_eq!(
            find(&text, "x_seconds"),
            Some((label_list(std::slice::from_ref(&label)).as_str(), 1_795_727_700.5))
        );
        assert_eq!(find(&text, "x"), None);
        assert_eq!(first_value(find(&text, "x_seconds").unwrap().0), Some(label.1));
    }
}
