//! Which tool a prompt asks for, and with what arguments.

use serde_json::{Map, Value, json};

/// A call of a tool.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Identity of this call.
    pub(crate) id: String,
    /// Name of the tool.
    pub(crate) name: String,
    /// Its arguments, an object.
    pub(crate) arguments: Value,
}

/// The call a question asks for: `[[tool]]` asks for the first, else a word of a tool's name (four letters or more)
/// asks for that one.
pub(crate) fn wanted(question: &str, tools: &[Value]) -> Option<Call> {
    let question = question.to_lowercase();
    let named = |tool: &&Value| {
        let name = tool["function"]["name"].as_str().unwrap_or_default().to_lowercase();
        name.split(['_', '-', '.']).any(|word| word.len() >= 4 && question.contains(word))
    };
    let tool = tools.iter().find(named).or_else(|| tools.first().filter(|_| question.contains("[[tool]]")))?;
    let function = &tool["function"];
    let name = function["name"].as_str()?.to_owned();
    let arguments = object(&function["parameters"]);
    Some(Call { id: format!("call_{:08x}", crate::script::hash(&question) & 0xffff_ffff), name, arguments })
}

fn object(schema: &Value) -> Value {
    let properties = schema["properties"].as_object();
    let filled: Map<_, _> =
        properties.into_iter().flatten().map(|(name, schema)| (name.clone(), argument(name, schema))).collect();
    Value::Object(filled)
}

/// A value a schema allows.
fn argument(name: &str, schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|allowed| allowed.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => object(schema),
        _ if matches!(name, "city" | "location" | "place") => json!("Paris"),
        _ => json!(name),
    }
}
