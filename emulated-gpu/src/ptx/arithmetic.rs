//! Arithmetic: what is computed from numbers, compared, or brought to another type.

use super::parse::size_of;
use super::translate::Translation;
use super::words::c_type;

impl Translation<'_> {
    /// An operation on numbers of one type that gives another of it.
    pub(super) fn computed(
        &self,
        operation: &str,
        opcode: &[&str],
        kind: &str,
        operands: &[String],
    ) -> Result<String, String> {
        let inputs = operands
            .iter()
            .skip(1)
            .map(|operand| self.read(operand, kind))
            .collect::<Result<Vec<String>, String>>()?;
        known(opcode, kind)?;
        if matches!(kind, "bf16" | "bf16x2") {
            return halves(operation, opcode.contains(&"NaN"), kind, &inputs);
        }
        let float = kind == "f32";
        let real = float || kind == "f64";
        let suffix = if float { "f" } else { "" };
        let value = match (operation, inputs.as_slice()) {
            ("add", [a, b]) => format!("{a} + {b}"),
            ("sub", [a, b]) => format!("{a} - {b}"),
            ("mul", [a, b]) => format!("{a} * {b}"),
            ("mad", [a, b, c]) if !real => format!("{a} * {b} + {c}"),
            ("fma", [a, b, c]) if opcode.contains(&"rm") && float => format!("fma_down({a}, {b}, {c})"),
            ("fma" | "mad", [a, b, c]) => format!("fma{suffix}({a}, {b}, {c})"),
            ("div", [a, b]) if real => format!("{a} / {b}"),
            // The least number divided by minus one is itself; the machine would stop there.
            ("div", [a, b]) if kind.starts_with('s') => format!("({b} == -1 ? -{a} : {b} ? {a} / {b} : -1)"),
            ("rem", [a, b]) if kind.starts_with('s') => format!("({b} == -1 ? 0 : {b} ? {a} % {b} : {a})"),
            ("div", [a, b]) => format!("({b} ? {a} / {b} : -1)"),
            ("rem", [a, b]) => format!("({b} ? {a} % {b} : {a})"),
            ("min", [a, b]) if float && opcode.contains(&"NaN") => format!("less_or_nan({a}, {b})"),
            ("max", [a, b]) if float && opcode.contains(&"NaN") => format!("greater_or_nan({a}, {b})"),
            ("min", [a, b]) if real => format!("fmin{suffix}({a}, {b})"),
            ("max", [a, b]) if real => format!("fmax{suffix}({a}, {b})"),
            ("min", [a, b]) => format!("({a} < {b} ? {a} : {b})"),
            ("max", [a, b]) => format!("({a} > {b} ? {a} : {b})"),
            ("abs", [a]) if real => format!("fabs{suffix}({a})"),
            ("abs", [a]) => format!("({a} < 0 ? -{a} : {a})"),
            ("neg", [a]) => format!("-{a}"),
            ("and", [a, b]) => format!("{a} & {b}"),
            ("or", [a, b]) => format!("{a} | {b}"),
            ("xor", [a, b]) => format!("{a} ^ {b}"),
            ("not", [a]) if kind == "pred" => format!("!{a}"),
            ("not", [a]) => format!("~{a}"),
            ("sqrt", [a]) => format!("sqrt{suffix}({a})"),
            ("rcp", [a]) => format!("1 / {a}"),
            ("rsqrt", [a]) => format!("1 / sqrt{suffix}({a})"),
            ("ex2", [a]) => format!("exp2{suffix}({a})"),
            ("lg2", [a]) => format!("log2{suffix}({a})"),
            // The first gives the sign.
            ("copysign", [a, b]) => format!("copysign{suffix}({b}, {a})"),
            // The count has 32 bits; one of the width or more shifts all out.
            ("shl" | "shr", [a, _]) => {
                let count = self.read(operands.get(2).ok_or("no count")?, "u32")?;
                let bits = 8 * size_of(kind).ok_or("a type")?;
                let signed = kind.starts_with('s');
                let all = if operation == "shr" && signed {
                    format!("({a} < 0 ? -1 : 0)")
                } else {
                    "0".to_owned()
                };
                let sign = if operation == "shl" { "<<" } else { ">>" };
                format!("({count} >= {bits} ? {all} : {a} {sign} {count})")
            }
            _ => return Err("is not known".to_owned()),
        };
        Ok(if opcode.contains(&"sat") {
            format!("saturated({value})")
        } else {
            value
        })
    }

    /// `setp.OPERATOR.TYPE p, a, b`
    pub(super) fn compare(&mut self, opcode: &[&str], operands: &[String]) -> Result<(), String> {
        let kind = opcode.last().copied().unwrap_or_default();
        let [to, a, b] = operands else {
            return Err("three operands are wanted".to_owned());
        };
        let plain = opcode.iter().skip(2).all(|word| *word == "ftz" || *word == kind);
        if opcode[0] == "set" || !plain {
            return Err("is not known".to_owned());
        }
        let half = kind == "bf16";
        let real = half || matches!(kind, "f32" | "f64");
        let read = |operand: &String| {
            let value = self.read(operand, kind)?;
            Ok::<_, String>(if half {
                format!("from_bf16({value})")
            } else {
                value
            })
        };
        let [a, b] = [read(a)?, read(b)?];
        let unordered = format!("{a} != {a} || {b} != {b}");
        let sign = |operator: &str| {
            Some(match operator {
                "eq" => "==",
                "ne" => "!=",
                "lt" | "lo" => "<",
                "le" | "ls" => "<=",
                "gt" | "hi" => ">",
                "ge" | "hs" => ">=",
                _ => return None,
            })
        };
        let operator = opcode.get(1).copied().unwrap_or_default();
        let value = match operator {
            "num" => format!("!({unordered})"),
            "nan" => unordered,
            "ne" if real => format!("{a} < {b} || {a} > {b}"),
            operator => match (sign(operator), operator.strip_suffix('u')) {
                (Some(sign), _) => format!("{a} {sign} {b}"),
                (None, Some(ordered)) => {
                    let sign = sign(ordered).ok_or("a comparison")?;
                    format!("{unordered} || {a} {sign} {b}")
                }
                _ => return Err("a comparison".to_owned()),
            },
        };
        self.write(to, "pred", &format!("({value})"))
    }

    /// `cvt.ROUNDING.TO.FROM d, a`
    pub(super) fn convert(&mut self, opcode: &[&str], operands: &[String]) -> Result<(), String> {
        let [to, from] = operands else {
            return Err("two operands are wanted".to_owned());
        };
        let [.., target, source] = opcode else {
            return Err("two types are wanted".to_owned());
        };
        let plain = |word: &&str| matches!(*word, "rn" | "ftz" | "rni" | "rzi" | "rmi" | "rpi");
        let saturates = |word: &&str| *word == "sat" && *target == "f32";
        if !opcode[1..opcode.len() - 2]
            .iter()
            .all(|word| plain(word) || saturates(word))
        {
            return Err("is not known".to_owned());
        }
        let value = self.read(from, source)?;
        let real = |kind: &str| matches!(kind, "f32" | "f64");
        let suffix = if *source == "f32" { "f" } else { "" };
        let rounding = opcode.iter().find_map(|word| match *word {
            "rni" => Some("rint"),
            "rzi" => Some("trunc"),
            "rmi" => Some("floor"),
            "rpi" => Some("ceil"),
            _ => None,
        });
        let mut value = match (*target, *source) {
            ("bf16", "f32") => format!("to_bf16({value})"),
            ("f32", "bf16") => format!("from_bf16({value})"),
            ("bf16", _) | (_, "bf16") | ("f16", _) | (_, "f16") => return Err("is not known".to_owned()),
            (target, source) if real(source) => {
                let rounded = match rounding {
                    Some(rounding) => format!("{rounding}{suffix}({value})"),
                    None => value,
                };
                match real(target) {
                    true => format!("({})({rounded})", c_type(target)?),
                    false => format!("bounded_{target}({rounded})"),
                }
            }
            (target, _) => format!("({})({value})", c_type(target)?),
        };
        if opcode.contains(&"sat") {
            value = format!("saturated({value})");
        }
        self.write(to, target, &value)
    }
}

/// Whether the words between an operation and its type are ones that are computed as they say.
fn known(opcode: &[&str], kind: &str) -> Result<(), String> {
    let words = opcode.get(1..opcode.len() - 1).unwrap_or_default();
    let is_known = |word: &&str| match *word {
        "rn" | "ftz" | "approx" | "full" | "lo" => true,
        "sat" | "rm" => kind == "f32",
        "NaN" => kind != "f64",
        _ => false,
    };
    match words.iter().all(is_known) {
        true => Ok(()),
        false => Err("is not known".to_owned()),
    }
}

/// An operation on one bfloat16 number or on two in a word: computed in f32, rounded once.
fn halves(operation: &str, nan: bool, kind: &str, inputs: &[String]) -> Result<String, String> {
    let of_part = |shift: u32| {
        let part = |input: &String| format!("from_bf16({input} >> {shift})");
        let value = match (operation, inputs) {
            ("add", [a, b]) => format!("{} + {}", part(a), part(b)),
            ("sub", [a, b]) => format!("{} - {}", part(a), part(b)),
            ("mul", [a, b]) => format!("{} * {}", part(a), part(b)),
            ("fma", [a, b, c]) => format!("fmaf({}, {}, {})", part(a), part(b), part(c)),
            ("neg", [a]) => format!("-{}", part(a)),
            ("abs", [a]) => format!("fabsf({})", part(a)),
            ("min", [a, b]) if nan => format!("less_or_nan({}, {})", part(a), part(b)),
            ("max", [a, b]) if nan => format!("greater_or_nan({}, {})", part(a), part(b)),
            ("min", [a, b]) => format!("fminf({}, {})", part(a), part(b)),
            ("max", [a, b]) => format!("fmaxf({}, {})", part(a), part(b)),
            _ => return Err("is not known".to_owned()),
        };
        Ok(format!("(uint32_t)to_bf16({value}) << {shift}"))
    };
    match kind {
        "bf16" => of_part(0),
        _ => Ok(format!("{} | {}", of_part(0)?, of_part(16)?)),
    }
}
