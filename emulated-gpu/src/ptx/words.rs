//! What PTX's words are in C: names, types, and what the hardware knows of a thread.

/// The state space of a load or store: `global` where none is named, as our kernels' generic addresses are.
pub(super) fn space<'a>(opcode: &[&'a str]) -> &'a str {
    opcode
        .iter()
        .find(|word| matches!(**word, "param" | "const" | "shared" | "local"))
        .copied()
        .unwrap_or("global")
}

/// `{a, b}` as its parts.
pub(super) fn parts(operand: &str) -> Vec<&str> {
    match operand.strip_prefix('{') {
        Some(inner) => inner.trim_end_matches('}').split(',').collect(),
        None => vec![operand],
    }
}

/// A name that C takes.
pub(super) fn plain(name: &str) -> String {
    let letters = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("v{}", letters.collect::<String>())
}

pub(super) fn is_real(c_type: &str) -> bool {
    matches!(c_type, "float" | "double")
}

pub(super) fn c_type(kind: &str) -> Result<&'static str, String> {
    Ok(match kind {
        "pred" => "int",
        "b8" | "u8" => "uint8_t",
        "s8" => "int8_t",
        "b16" | "u16" | "bf16" => "uint16_t",
        "s16" => "int16_t",
        "b32" | "u32" | "bf16x2" => "uint32_t",
        "s32" => "int32_t",
        "b64" | "u64" => "uint64_t",
        "s64" => "int64_t",
        "f32" => "float",
        "f64" => "double",
        other => return Err(format!("the type {other} is not known")),
    })
}

/// The type of a product of two numbers in full.
pub(super) fn wider(kind: &str) -> Result<&'static str, String> {
    Ok(match kind {
        "u16" => "u32",
        "s16" => "s32",
        "u32" => "u64",
        "s32" => "s64",
        other => return Err(format!("no type is twice as wide as {other}")),
    })
}

/// What the hardware knows of a thread.
pub(super) fn special(operand: &str) -> Option<String> {
    let (name, axis) = operand
        .strip_prefix('%')?
        .split_once('.')
        .unwrap_or((&operand[1..], "x"));
    let axis = match axis {
        "x" => 0,
        "y" => 1,
        "z" => 2,
        _ => return None,
    };
    Some(match name {
        "tid" => format!("T->t.thread[{axis}]"),
        "ntid" => format!("G->threads[{axis}]"),
        "ctaid" => format!("G->block[{axis}]"),
        "nctaid" => format!("G->blocks[{axis}]"),
        "laneid" => "T->t.lane".to_owned(),
        _ => return None,
    })
}
