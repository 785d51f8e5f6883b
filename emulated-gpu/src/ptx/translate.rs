//! From a kernel's statements to C: a function that runs one thread until it ends or waits for others.
//!
//! A thread that comes to a barrier, or exchanges numbers with its warp, returns, and goes on there when it is called again. So
//! its registers outlive the call: they are members of its structure.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::parse::{Array, Kernel, Module, Statement, size_of};
use super::words::{c_type, is_real, parts, plain, space, special, wider};

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

/// A kernel on its way.
pub(super) struct Translation<'a> {
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
                let label = plain(of(0)?);
                let _ = write!(self.body, "if (G->failed) return {ENDED}; goto {label};");
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
            "bar" if opcode == ["bar", "sync"] && operands == ["0"] => self.stop(AT_BARRIER),
            "bar" | "barrier" => return Err("a barrier of another kind".to_owned()),
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
            "mul" if has("hi") && wider(kind).is_ok() => {
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

    fn stop(&mut self, why: u32) {
        self.stops += 1;
        let stop = self.stops;
        let _ = write!(self.body, "T->t.at = {stop}; return {why}; stop_{stop}:;");
    }

    /// `shfl.sync.bfly.b32 d|p, a, lane, clamp, mask`
    fn exchange(&mut self, opcode: &[&str], operands: &[String]) -> Result<(), String> {
        let [to, from, lane, clamp, ..] = operands else {
            return Err("too few operands".to_owned());
        };
        let given = self.read(from, "b32")?;
        let stop = self.stops + 1;
        let _ = write!(
            self.body,
            "T->t.turn ^= 1; T->t.handed[T->t.turn] = {given}; T->t.stops[T->t.turn] = {stop};"
        );
        self.stop(EXCHANGING);
        let clamp = self.read(clamp, "b32")?;
        let _ = write!(
            self.body,
            "if ({clamp} & 0x1f00) {{ fault(G, H, \"an exchange within a part of a warp\"); return {ENDED}; }}"
        );
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
        self.write(to, "b32", "handed_by(G, T, within ? other : T->t.lane)")?;
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
        let argument = to.trim_matches(['[', ']']).split('+').next();
        if space(opcode) == "param"
            && !self
                .kernel
                .parameters
                .iter()
                .any(|p| Some(p.name.as_str()) == argument)
        {
            return Ok(()); // of a call: an assertion's
        }
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

    /// An operand as a value of a type.
    pub(super) fn read(&self, operand: &str, kind: &str) -> Result<String, String> {
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
    pub(super) fn write(&mut self, register: &str, kind: &str, value: &str) -> Result<(), String> {
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
