//! From the text of a module to its kernels, statement by statement.

use std::collections::BTreeMap;

/// A module's text, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Kernels by name.
    pub(crate) kernels: BTreeMap<String, Kernel>,
    /// Constants by name: their bytes.
    pub(crate) constants: BTreeMap<String, Vec<u8>>,
    /// Arrays in shared memory that stand outside the kernels.
    pub(crate) shared: Vec<Array>,
}

/// One `.entry`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kernel {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) statements: Vec<Statement>,
    /// Registers by name with their type (`f32`, `b64`, `pred`).
    pub(crate) registers: BTreeMap<String, String>,
    pub(crate) shared: Vec<Array>,
    pub(crate) local: Vec<Array>,
}

/// A parameter and where it lies in the parameters' memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    pub(crate) offset: usize,
    pub(crate) size: usize,
}

/// Memory of a block or a thread; without a length it is as long as the launch says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Array {
    pub(crate) name: String,
    pub(crate) align: usize,
    pub(crate) size: Option<usize>,
}

/// A line of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Statement {
    Label(String),
    Instruction {
        /// The predicate's register, and whether it must be false.
        guard: Option<(String, bool)>,
        /// The words between the dots: `ld`, `global`, `f32`.
        opcode: Vec<String>,
        operands: Vec<String>,
    },
}

/// Takes a module apart.
///
/// # Errors
/// Text that is no PTX of this kind, in one line.
pub(crate) fn module(text: &str) -> Result<Module, String> {
    let text: String = text.lines().map(without_comment).collect::<Vec<_>>().join("\n");
    let mut module = Module::default();
    let mut rest = text.as_str();
    while let Some(start) = rest.find(['.']) {
        rest = &rest[start..];
        let end = rest.find([';', '{']).unwrap_or(rest.len());
        let head = rest[..end].trim();
        let word = head.split_whitespace().next().unwrap_or_default();
        if matches!(word, ".version" | ".target" | ".address_size") {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        if head.contains(".entry ") || head.contains(".func") {
            let Some(body) = rest[end..].strip_prefix('{') else {
                rest = rest.get(end + 1..).unwrap_or_default(); // a declaration
                continue;
            };
            let (body, behind) = body_of(body)?;
            if let Some((_, signature)) = head.split_once(".entry ") {
                let (name, parameters) = signature.split_once('(').unwrap_or((signature, ")"));
                module
                    .kernels
                    .insert(name.trim().to_owned(), kernel(parameters, body)?);
            }
            rest = behind;
            continue;
        }
        // A variable, perhaps with its numbers in braces.
        let end = rest.find(';').unwrap_or(rest.len());
        let declaration = &rest[..end];
        if declaration.contains(".shared ") {
            module.shared.push(array(declaration)?);
        } else if declaration.starts_with(".const ") || declaration.starts_with(".global ") {
            // A kernel that uses another kind does not know it, and says so.
            if let Ok((name, bytes)) = constant(declaration) {
                module.constants.insert(name, bytes);
            }
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Ok(module)
}

fn without_comment(line: &str) -> &str {
    line.split_once("//").map_or(line, |(before, _)| before)
}

/// What stands before the brace that closes this body, and what stands behind it.
fn body_of(text: &str) -> Result<(&str, &str), String> {
    let mut depth = 1;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok((&text[..at], &text[at + 1..]));
        }
    }
    Err("a body without an end".to_owned())
}

fn kernel(parameters: &str, body: &str) -> Result<Kernel, String> {
    let mut kernel = Kernel::default();
    let mut end = 0usize;
    let parameters = parameters.rsplit_once(')').map_or(parameters, |(inner, _)| inner);
    for parameter in parameters.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let (size, align, name) = match parameter.contains(".b8") && parameter.contains('[') {
            true => {
                let array = array(parameter)?;
                (array.size.unwrap_or(0), array.align, array.name)
            }
            false => {
                let mut words = parameter.split_whitespace().rev();
                let name = words.next().ok_or("a parameter without a name")?;
                let size = words
                    .find_map(size_of)
                    .ok_or_else(|| format!("type of {parameter}"))?;
                (size, size, name.to_owned())
            }
        };
        let offset = end.next_multiple_of(align);
        end = offset + size;
        kernel.parameters.push(Parameter { name, offset, size });
    }
    for part in body.split(';') {
        let mut part = part.trim();
        loop {
            // Braces around statements are scopes, of inline assembly or of a call.
            part = part.trim_start_matches(['{', '}']).trim();
            match label(part) {
                Some((name, behind)) => {
                    kernel.statements.push(Statement::Label(name.to_owned()));
                    part = behind.trim();
                }
                None if part.starts_with(['{', '}']) => {}
                None => break,
            }
        }
        if !part.is_empty() {
            statement(&mut kernel, part)?;
        }
    }
    Ok(kernel)
}

/// `NAME:` in front of a statement.
fn label(part: &str) -> Option<(&str, &str)> {
    let (name, behind) = part.split_once(':')?;
    let of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    name.chars().all(of_a_name).then_some((name, behind))
}

fn statement(kernel: &mut Kernel, part: &str) -> Result<(), String> {
    if let Some(declared) = part.strip_prefix(".reg") {
        let (kind, names) = declared
            .trim()
            .split_once(char::is_whitespace)
            .ok_or_else(|| part.to_owned())?;
        let kind = kind.trim_start_matches('.');
        for name in names.split(',').map(str::trim) {
            match name.split_once('<') {
                Some((stem, count)) => {
                    let count = count.trim_end_matches('>');
                    let count: usize = count.parse().map_err(|_| format!("registers {part}"))?;
                    for number in 0..count {
                        kernel
                            .registers
                            .insert(format!("{stem}{number}"), kind.to_owned());
                    }
                }
                None => {
                    let before = kernel.registers.insert(name.to_owned(), kind.to_owned());
                    if before.is_some_and(|before| before != kind) {
                        return Err(format!("{name} has two types"));
                    }
                }
            }
        }
        return Ok(());
    }
    if part.starts_with(".shared") {
        kernel.shared.push(array(part)?);
        return Ok(());
    }
    if part.starts_with(".local") {
        kernel.local.push(array(part)?);
        return Ok(());
    }
    if part.starts_with('.') {
        return Ok(()); // pragmas, parameters of calls
    }
    let (guard, part) = match part.strip_prefix('@') {
        None => (None, part),
        Some(guarded) => {
            let (guard, part) = guarded
                .split_once(char::is_whitespace)
                .ok_or_else(|| guarded.to_owned())?;
            let name = guard.trim_start_matches('!');
            (Some((name.to_owned(), guard.starts_with('!'))), part.trim())
        }
    };
    let (opcode, operands) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
    kernel.statements.push(Statement::Instruction {
        guard,
        opcode: opcode.split('.').map(str::to_owned).collect(),
        operands: operands_of(operands),
    });
    Ok(())
}

/// Cut at commas that are not within braces.
fn operands_of(text: &str) -> Vec<String> {
    let mut operands = vec![String::new()];
    let mut within = false;
    for letter in text.chars() {
        match letter {
            '{' => within = true,
            '}' => within = false,
            _ => {}
        }
        match (letter, within, operands.last_mut()) {
            (',', false, _) => operands.push(String::new()),
            (letter, _, Some(last)) if !letter.is_whitespace() => last.push(letter),
            _ => {}
        }
    }
    operands.retain(|operand| !operand.is_empty());
    operands
}

/// Bytes of a type that a word names.
pub(crate) fn size_of(word: &str) -> Option<usize> {
    Some(match word.trim_start_matches('.') {
        "b8" | "u8" | "s8" | "pred" => 1,
        "b16" | "u16" | "s16" | "f16" | "bf16" => 2,
        "b32" | "u32" | "s32" | "f32" | "f16x2" | "bf16x2" => 4,
        "b64" | "u64" | "s64" | "f64" => 8,
        _ => return None,
    })
}

/// `.shared .align 8 .b8 NAME[2048]`
fn array(text: &str) -> Result<Array, String> {
    let fault = || format!("an array: {text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    let align = words
        .iter()
        .position(|word| *word == ".align")
        .and_then(|at| words.get(at + 1)?.parse().ok());
    let (name, length) = words
        .last()
        .and_then(|word| word.trim_end_matches(']').split_once('['))
        .ok_or_else(fault)?;
    let each = words
        .iter()
        .rev()
        .find_map(|word| size_of(word))
        .ok_or_else(fault)?;
    let size = match length {
        "" => None,
        length => Some(each * length.parse::<usize>().map_err(|_| fault())?),
    };
    Ok(Array {
        name: name.to_owned(),
        align: align.unwrap_or(each),
        size,
    })
}

/// `.const .align 4 .b8 NAME[44] = {0, 0, 128}`
fn constant(text: &str) -> Result<(String, Vec<u8>), String> {
    let (declared, numbers) = text.split_once('=').unwrap_or((text, ""));
    if !declared.contains(".b8") {
        return Err(format!("numbers of another type: {declared}"));
    }
    let array = array(declared.trim())?;
    let numbers = numbers.trim().trim_start_matches('{').trim_end_matches('}');
    let mut bytes = numbers
        .split(',')
        .map(str::trim)
        .filter(|number| !number.is_empty())
        .map(|number| {
            number
                .parse()
                .map_err(|_| format!("a byte of {}: {number}", array.name))
        })
        .collect::<Result<Vec<u8>, _>>()?;
    bytes.resize(array.size.unwrap_or(bytes.len()), 0);
    Ok((array.name, bytes))
}
