//! From a kernel's statements to C: a function that runs one thread until it ends or waits for others.
//!
//! A thread that comes to a barrier, or exchanges numbers with its warp, returns, and goes on there when it is called again. So
//! its registers outlive the call: they are members of its structure.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::parse::{Array, Kernel, Module, Statement, size_of};

/// What a thread's call returns: it has ended.
pub(crate) const ENDED: u32 = 0;
/// It waits for its block.
pub(crate) const AT_BARRIER: u32 = 1;
/// It has handed a number to its warp.
pub(crate) const EXCHANGING: u32 = 2;

/// Types, memory that is checked, and operations that C has in other words. `Thread` and `Grid` are known to `launch.rs`, too.
const PRELUDE: &str = include_str!("prelude.h");

/// The C of one kernel.
///
/// # Errors
/// An instruction that is not known, in one line.
pub(crate) fn kernel(module: &Module, name: &str) -> Result<String, String> {
    let kernel = module
        .kernels
        .get(name)
        .ok_or_else(|| format!("no kernel {name}"))?;
    let mut c = PRELUDE.to_owned();
    for (name, bytes) in &module.constants {
        let bytes: Vec<String> = bytes.iter().map(u8::to_string).collect();
        let _ = writeln!(
            c,
            "static const unsigned char K_{name}[] __attribute__((aligned(16))) = {{{}}};",
            bytes.join(",")
        );
    }
    let mut translation = Translation::new(module, kernel);
    for statement in &kernel.statements {
        translation.statement(statement)?;
    }
    c += "struct Whole { struct Thread t;\n";
    for (register, kind) in &kernel.registers {
        let _ = writeln!(c, "{} {};", c_type(kind)?, plain(register));
    }
    let _ = writeln!(c, "unsigned char local[{}]; }};", translation.local_size.max(16));
    c += "const unsigned thread_size = sizeof(struct Whole);\n";
    let _ = writeln!(c, "const unsigned shared_size = {};", translation.shared_size);
    c += "unsigned run(struct Whole *H, struct Grid *G)\n{\n";
    match translation.stops {
        // Where nothing outlives the call, registers are the compiler's.
        0 => c += "struct Whole held, *T = &held;\nheld.t = H->t;\n",
        stops => {
            c += "struct Whole *T = H;\nswitch (T->t.at) {\n";
            for stop in 1..=stops {
                let _ = writeln!(c, "case {stop}: goto stop_{stop};");
            }
            c += "}\n";
        }
    }
    c += &translation.body;
    let _ = writeln!(c, "return {ENDED};\n}}");
    Ok(c)
}

struct Translation<'a> {
    module: &'a Module,
    kernel: &'a Kernel,
    /// Arrays of shared and local memory with their places.
    shared: Vec<(&'a str, usize)>,
    local: Vec<(&'a str, usize)>,
    shared_size: usize,
    local_size: usize,
    stops: u32,
    body: String,
}

/// Arrays one behind the other; those without a length are last, where the launch adds to it.
fn placed<'a>(arrays: impl Iterator<Item = &'a Array>) -> (Vec<(&'a str, usize)>, usize) {
    let mut end = 0usize;
    let mut open = BTreeSet::new();
    let mut places = Vec::new();
    for array in arrays {
        match array.size {
            Some(size) => {
                let at = end.next_multiple_of(array.align);
                places.push((array.name.as_str(), at));
                end = at + size;
            }
            None => {
                open.insert(array.name.as_str());
            }
        }
    }
    end = end.next_multiple_of(16);
    places.extend(open.into_iter().map(|name| (name, end)));
    (places, end)
}

impl<'a> Translation<'a> {
    fn new(module: &'a Module, kernel: &'a Kernel) -> Self {
        let (shared, shared_size) = placed(module.shared.iter().chain(&kernel.shared));
        let (local, local_size) = placed(kernel.local.iter());
        Self {
            module,
            kernel,
            shared,
            local,
            shared_size,
            local_size,
            stops: 0,
            body: String::new(),
        }
    }

    fn statement(&mut self, statement: &Statement) -> Result<(), String> {
        match statement {
            Statement::Label(name) => {
                let _ = writeln!(self.body, "{}:;", plain(name));
            }
            Statement::Instruction {
                guard,
                opcode,
                operands,
            } => {
                if let Some((register, negated)) = guard {
                    let not = if *negated { "!" } else { "" };
                    let _ = write!(self.body, "if ({not}T->{}) ", plain(register));
                }
                self.body.push('{');
                let opcode: Vec<&str> = opcode.iter().map(String::as_str).collect();
                self.instruction(&opcode, operands)
                    .map_err(|fault| format!("{} {}: {fault}", opcode.join("."), operands.join(", ")))?;
                self.body.push_str("}\n");
            }
        }
        Ok(())
    }

    fn instruction(&mut self, opcode: &[&str], operands: &[String]) -> Result<(), String> {
        let kind = opcode.last().copied().unwrap_or_default();
        let has = |word: &str| opcode.contains(&word);
        let of = |at: usize| operands.get(at).map(String::as_str).ok_or("too few operands");
        match opcode[0] {
            "bra" => {
                let _ = write!(self.body, "goto {};", plain(of(0)?));
            }
            "ret" | "exit" => {
                let _ = write!(self.body, "return {ENDED};");
            }
            "call" => {
                // Only assertions are called.
                let called = operands.iter().any(|operand| operand.contains("__assertfail"));
                if !called {
                    return Err("a function is called".to_owned());
                }
                let _ = write!(self.body, "fault(G, H, \"an assertion fails\"); return {ENDED};");
            }
            "bar" | "barrier" => self.stop(AT_BARRIER),
            "shfl" => self.exchange(opcode, operands)?,
            "cvta" => {
                let source = self.read(of(1)?, "b64")?;
                self.write(of(0)?, "b64", &source)?;
            }
            "ld" => self.load(opcode, kind, operands)?,
            "st" => self.store(opcode, kind, operands)?,
            "mov" => self.mov(kind, operands)?,
            "setp" | "set" => self.compare(opcode, operands)?,
            "selp" => {
                let [yes, no] = [self.read(of(1)?, kind)?, self.read(of(2)?, kind)?];
                let choice = format!("{} ? {yes} : {no}", self.read(of(3)?, "pred")?);
                self.write(of(0)?, kind, &format!("({choice})"))?;
            }
            "cvt" => self.convert(opcode, operands)?,
            "mul" | "mad" if has("wide") => {
                let wide = wider(kind)?;
                let [a, b] = [self.read(of(1)?, kind)?, self.read(of(2)?, kind)?];
                let mut value = format!("({})({a}) * ({})({b})", c_type(wide)?, c_type(wide)?);
                if opcode[0] == "mad" {
                    value += &format!(" + {}", self.read(of(3)?, wide)?);
                }
                self.write(of(0)?, wide, &value)?;
            }
            "mul" if has("hi") => {
                let wide = wider(kind)?;
                let [a, b] = [self.read(of(1)?, kind)?, self.read(of(2)?, kind)?];
                let bits = 8 * size_of(kind).unwrap_or(4);
                let value = format!("(({})({a}) * ({})({b})) >> {bits}", c_type(wide)?, c_type(wide)?);
                self.write(of(0)?, kind, &value)?;
            }
            operation => {
                let value = self.computed(operation, opcode, kind, operands)?;
                self.write(of(0)?, kind, &value)?;
            }
        }
        Ok(())
    }

    /// An operation on numbers of one type that gives another of it.
    fn computed(
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
        if matches!(kind, "bf16" | "bf16x2") {
            return halves(operation, kind, &inputs);
        }
        let float = kind == "f32";
        let real = float || kind == "f64";
        let suffix = if float { "f" } else { "" };
        let value = match (operation, inputs.as_slice()) {
            ("add", [a, b]) => format!("{a} + {b}"),
            ("sub", [a, b]) => format!("{a} - {b}"),
            ("mul", [a, b]) => format!("{a} * {b}"),
            ("mad", [a, b, c]) if !real => format!("{a} * {b} + {c}"),
            ("fma", [a, b, c]) if opcode.contains(&"rm") => format!("fma_down({a}, {b}, {c})"),
            ("fma" | "mad", [a, b, c]) => format!("fma{suffix}({a}, {b}, {c})"),
            ("div", [a, b]) if real => format!("{a} / {b}"),
            ("div", [a, b]) => format!("({b} ? {a} / {b} : -1)"),
            ("rem", [a, b]) => format!("({b} ? {a} % {b} : {a})"),
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

    fn stop(&mut self, why: u32) {
        self.stops += 1;
        let stop = self.stops;
        let _ = write!(self.body, "T->t.at = {stop}; return {why}; stop_{stop}:;");
    }

    /// `shfl.sync.bfly.b32 d|p, a, lane, clamp, mask`
    fn exchange(&mut self, opcode: &[&str], operands: &[String]) -> Result<(), String> {
        let [to, from, lane, ..] = operands else {
            return Err("too few operands".to_owned());
        };
        let given = self.read(from, "b32")?;
        let _ = write!(self.body, "T->t.turn ^= 1; T->t.handed[T->t.turn] = {given};");
        self.stop(EXCHANGING);
        let lane = self.read(lane, "b32")?;
        let other = match opcode.get(2).copied() {
            Some("bfly") => format!("T->t.lane ^ {lane}"),
            Some("down") => format!("T->t.lane + {lane}"),
            Some("up") => format!("T->t.lane - {lane}"),
            Some("idx") => lane,
            _ => return Err("an exchange of another kind".to_owned()),
        };
        let (to, within) = to.split_once('|').unwrap_or((to, ""));
        let _ = write!(self.body, "unsigned other = {other}; int within = other < 32; ");
        self.write(to, "b32", "handed_by(T, within ? other : T->t.lane)")?;
        if !within.is_empty() {
            self.write(within, "pred", "within")?;
        }
        Ok(())
    }

    /// The pointer that an operand in brackets stands for, `beyond` bytes further, where `size` bytes are read or written.
    fn pointer(&self, space: &str, operand: &str, beyond: usize, size: usize) -> Result<String, String> {
        let inner = operand.trim_start_matches('[').trim_end_matches(']');
        let (base, offset) = match inner.split_once('+') {
            Some((base, offset)) => (base, offset.parse::<i64>().map_err(|_| "an offset")?),
            None => (inner, 0),
        };
        let offset = offset + beyond as i64;
        Ok(match space {
            "param" => match self.kernel.parameters.iter().find(|p| p.name == base) {
                Some(parameter) => format!("G->parameters + {}", parameter.offset as i64 + offset),
                None => format!("(unsigned char *)({} + {offset})", self.read(base, "b64")?),
            },
            "const" => format!("(unsigned char *)({} + {offset})", self.read(base, "b64")?),
            "shared" => format!("shared(G, H, {} + {offset}, {size})", self.read(base, "u32")?),
            "local" => format!("T->local + {} + {offset}", self.read(base, "b64")?),
            _ => format!("global(G, H, {} + {offset}, {size})", self.read(base, "b64")?),
        })
    }

    /// The places of `count` numbers of a type in memory, one behind the other.
    fn places(
        &mut self,
        space: &str,
        operand: &str,
        kind: &str,
        count: usize,
    ) -> Result<Vec<String>, String> {
        let size = size_of(kind).ok_or("a type")?;
        if count > 1 {
            // Several numbers at once must lie at a multiple of their common size.
            let whole = self.pointer(space, operand, 0, size * count)?;
            let _ = write!(self.body, "(void)({whole});");
        }
        (0..count)
            .map(|part| {
                let pointer = self.pointer(space, operand, part * size, size)?;
                Ok(format!("*({} *)({pointer})", c_type(kind)?))
            })
            .collect()
    }

    fn load(&mut self, opcode: &[&str], kind: &str, operands: &[String]) -> Result<(), String> {
        let [to, from] = operands else {
            return Err("two operands are wanted".to_owned());
        };
        let registers = parts(to);
        let places = self.places(space(opcode), from, kind, registers.len())?;
        // A register of the address may be among those that are written.
        for (part, place) in places.iter().enumerate() {
            let _ = write!(self.body, "{} part_{part} = {place};", c_type(kind)?);
        }
        for (part, register) in registers.into_iter().enumerate() {
            self.write(register, kind, &format!("part_{part}"))?;
        }
        Ok(())
    }

    fn store(&mut self, opcode: &[&str], kind: &str, operands: &[String]) -> Result<(), String> {
        let [to, from] = operands else {
            return Err("two operands are wanted".to_owned());
        };
        let sources = parts(from);
        let places = self.places(space(opcode), to, kind, sources.len())?;
        for (place, source) in places.iter().zip(sources) {
            let value = self.read(source, kind)?;
            let _ = write!(self.body, "{place} = {value};");
        }
        Ok(())
    }

    fn mov(&mut self, kind: &str, operands: &[String]) -> Result<(), String> {
        let [to, from] = operands else {
            return Err("two operands are wanted".to_owned());
        };
        let (towards, sources) = (parts(to), parts(from));
        let whole = 8 * size_of(kind).ok_or("a type")?;
        match (towards.as_slice(), sources.as_slice()) {
            ([to], [from]) => {
                let value = self.read(from, kind)?;
                self.write(to, kind, &value)
            }
            // The first part has the lower bits.
            (many, [from]) => {
                let value = self.read(from, &format!("b{whole}"))?;
                let each = whole / many.len();
                for (part, to) in many.iter().enumerate() {
                    if *to != "_" {
                        self.write(to, &format!("b{each}"), &format!("{value} >> {}", part * each))?;
                    }
                }
                Ok(())
            }
            ([to], many) => {
                let each = whole / many.len();
                let kind = format!("b{whole}");
                let joined = many
                    .iter()
                    .enumerate()
                    .map(|(part, from)| {
                        let value = self.read(from, &format!("b{each}"))?;
                        Ok(format!("(({})({value}) << {})", c_type(&kind)?, part * each))
                    })
                    .collect::<Result<Vec<_>, String>>()?
                    .join(" | ");
                self.write(to, &kind, &joined)
            }
            _ => Err("parts to parts".to_owned()),
        }
    }

    /// `setp.OPERATOR.TYPE p, a, b`
    fn compare(&mut self, opcode: &[&str], operands: &[String]) -> Result<(), String> {
        let kind = opcode.last().copied().unwrap_or_default();
        let [to, a, b] = operands else {
            return Err("three operands are wanted".to_owned());
        };
        if opcode[0] == "set" {
            return Err("is not known".to_owned());
        }
        let real = matches!(kind, "f32" | "f64");
        let [a, b] = [self.read(a, kind)?, self.read(b, kind)?];
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
    fn convert(&mut self, opcode: &[&str], operands: &[String]) -> Result<(), String> {
        let [to, from] = operands else {
            return Err("two operands are wanted".to_owned());
        };
        let [.., target, source] = opcode else {
            return Err("two types are wanted".to_owned());
        };
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

    /// An operand as a value of a type.
    fn read(&self, operand: &str, kind: &str) -> Result<String, String> {
        let wanted = c_type(kind)?;
        if let Some(negated) = operand.strip_prefix('!') {
            return Ok(format!("(!{})", self.read(negated, kind)?));
        }
        if let Some(special) = special(operand) {
            return Ok(format!("(({wanted}){special})"));
        }
        if let Some(held) = self.kernel.registers.get(operand) {
            let register = format!("T->{}", plain(operand));
            let held = c_type(held)?;
            return Ok(match (is_real(held), is_real(wanted)) {
                (false, false) => format!("(({wanted}){register})"),
                (true, true) if held == wanted => register,
                // The same bits as another kind of number.
                (true, false) => format!("(({wanted})bits_of_{held}({register}))"),
                (false, true) => format!("{wanted}_of_bits({register})"),
                _ => return Err(format!("{operand} is a {held}, not a {wanted}")),
            });
        }
        if let Some(bits) = operand.strip_prefix("0f") {
            return Ok(format!("float_of_bits(0x{bits}u)"));
        }
        if let Some(bits) = operand.strip_prefix("0d") {
            return Ok(format!("double_of_bits(0x{bits}ull)"));
        }
        if operand.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return Ok(format!(
                "(({wanted}){operand}{})",
                if operand.contains("0x") { "ull" } else { "ll" }
            ));
        }
        let in_list =
            |list: &[(&str, usize)]| list.iter().find(|(name, _)| *name == operand).map(|(_, at)| *at);
        if let Some(at) = in_list(&self.shared).or_else(|| in_list(&self.local)) {
            return Ok(format!("(({wanted}){at})"));
        }
        if self.module.constants.contains_key(operand) {
            return Ok(format!("(({wanted})(uintptr_t)K_{operand})"));
        }
        if let Some(parameter) = self.kernel.parameters.iter().find(|p| p.name == operand) {
            return Ok(format!(
                "(({wanted})(uintptr_t)(G->parameters + {}))",
                parameter.offset
            ));
        }
        Err(format!("{operand} is not known"))
    }

    /// Writes a value of a type to a register, which may be wider.
    fn write(&mut self, register: &str, kind: &str, value: &str) -> Result<(), String> {
        let held = self
            .kernel
            .registers
            .get(register)
            .ok_or_else(|| format!("{register} is no register"))?;
        let (held, given) = (c_type(held)?, c_type(kind)?);
        let name = plain(register);
        let _ = match (is_real(held), is_real(given)) {
            (true, true) | (false, false) => write!(self.body, "T->{name} = ({given})({value});"),
            (true, false) => write!(self.body, "T->{name} = {held}_of_bits(({given})({value}));"),
            (false, true) => write!(self.body, "T->{name} = bits_of_{given}({value});"),
        };
        Ok(())
    }
}

/// An operation on one bfloat16 number or on two in a word: computed in f32, rounded once.
fn halves(operation: &str, kind: &str, inputs: &[String]) -> Result<String, String> {
    let of_part = |shift: u32| {
        let part = |input: &String| format!("from_bf16({input} >> {shift})");
        let value = match (operation, inputs) {
            ("add", [a, b]) => format!("{} + {}", part(a), part(b)),
            ("sub", [a, b]) => format!("{} - {}", part(a), part(b)),
            ("mul", [a, b]) => format!("{} * {}", part(a), part(b)),
            ("fma", [a, b, c]) => format!("fmaf({}, {}, {})", part(a), part(b), part(c)),
            ("neg", [a]) => format!("-{}", part(a)),
            ("abs", [a]) => format!("fabsf({})", part(a)),
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

/// The state space of a load or store: `global` where none is named, as our kernels' generic addresses are.
fn space<'a>(opcode: &[&'a str]) -> &'a str {
    opcode
        .iter()
        .find(|word| matches!(**word, "param" | "const" | "shared" | "local"))
        .copied()
        .unwrap_or("global")
}

/// `{a, b}` as its parts.
fn parts(operand: &str) -> Vec<&str> {
    match operand.strip_prefix('{') {
        Some(inner) => inner.trim_end_matches('}').split(',').collect(),
        None => vec![operand],
    }
}

/// A name that C takes.
fn plain(name: &str) -> String {
    let letters = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("v{}", letters.collect::<String>())
}

fn is_real(c_type: &str) -> bool {
    matches!(c_type, "float" | "double")
}

fn c_type(kind: &str) -> Result<&'static str, String> {
    Ok(match kind {
        "pred" => "int",
        "b8" | "u8" => "uint8_t",
        "s8" => "int8_t",
        "b16" | "u16" | "bf16" | "f16" => "uint16_t",
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
fn wider(kind: &str) -> Result<&'static str, String> {
    Ok(match kind {
        "u16" => "u32",
        "s16" => "s32",
        "u32" => "u64",
        "s32" => "s64",
        other => return Err(format!("no type is twice as wide as {other}")),
    })
}

/// What the hardware knows of a thread.
fn special(operand: &str) -> Option<String> {
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
