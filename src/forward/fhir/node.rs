//! JSON as it is written: numbers are texts that pass through untouched.
//!
//! `7.40` must leave as `7.40`. A number that goes through a float, or through a reader that makes
//! one, comes out as `7.4`; so nothing here ever holds a number.

/// A piece of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Text(String),
    /// A number in JSON's own grammar, digit by digit.
    Number(String),
    Flag(bool),
    List(Vec<Node>),
    Object(Vec<(&'static str, Node)>),
}

impl Node {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// An object of the fields that are there, in this order.
    pub fn object<const N: usize>(fields: [(&'static str, Option<Node>); N]) -> Self {
        Self::Object(fields.into_iter().filter_map(|(key, one)| Some((key, one?))).collect())
    }

    /// A list, or nothing: FHIR has no empty arrays.
    pub fn list(items: Vec<Node>) -> Option<Self> {
        (!items.is_empty()).then_some(Self::List(items))
    }

    /// The same object with one more field.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: Option<Node>) -> Self {
        if let (Self::Object(fields), Some(value)) = (&mut self, value) {
            fields.push((key, value));
        }
        self
    }

    /// The text of it.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Number(digits) => out.push_str(digits),
            Self::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(fields) => {
                out.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(&quoted(key));
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a text has a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_every_digit() {
        let node = Node::object([
            ("value", Some(Node::Number("7.40".to_owned()))),
            ("unit", Some(Node::text("m\"m"))),
            ("absent", None),
            ("list", Node::list(vec![Node::Flag(true), Node::Number("-0.0".to_owned())])),
            ("empty", Node::list(Vec::new())),
        ]);
        assert_eq!(node.to_json(), r#"{"value":7.40,"unit":"m\"m","list":[true,-0.0]}"#);
    }
}
