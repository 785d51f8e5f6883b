//! A stack machine for the pickles of state dicts.
//!
//! Objects live in lists and refer to each other by position, so that no nesting, however deep, costs stack or can form a
//! circle; each instruction adds at most one object for each byte of its own or value on the stack, so the machine's memory
//! is bounded by the length of its program. candle's own pickle reader knows neither these bounds nor the older layout, in
//! which many published weights still are.

use std::rc::Rc;

use super::Fault;

/// Longest program; that of a network of a thousand tensors has about 200 kB.
const LONGEST: usize = 64 << 20;

/// Type of the numbers in a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
}

impl Number {
    /// Bytes of one number.
    pub(super) fn width(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 => 1,
        }
    }
}

/// The only names that a program may mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(Number),
}

impl Name {
    fn find(module: &str, name: &str) -> Option<Self> {
        Some(match (module, name) {
            ("collections", "OrderedDict") => Self::OrderedDict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::RebuildTensor,
            ("torch._utils", "_rebuild_parameter") => Self::RebuildParameter,
            ("torch", "DoubleStorage") => Self::Storage(Number::F64),
            ("torch", "FloatStorage") => Self::Storage(Number::F32),
            ("torch", "HalfStorage") => Self::Storage(Number::F16),
            ("torch", "BFloat16Storage") => Self::Storage(Number::BF16),
            ("torch", "LongStorage") => Self::Storage(Number::I64),
            ("torch", "IntStorage") => Self::Storage(Number::I32),
            ("torch", "ShortStorage") => Self::Storage(Number::I16),
            ("torch", "CharStorage") => Self::Storage(Number::I8),
            ("torch", "ByteStorage") => Self::Storage(Number::U8),
            _ => return None,
        })
    }
}

/// A storage as a program mentions it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StorageSpec {
    pub(super) key: Rc<str>,
    pub(super) number: Number,
    /// Numbers in it.
    pub(super) count: u64,
}

/// A tensor as a program describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TensorSpec {
    pub(super) storage: StorageSpec,
    pub(super) offset: u64,
    pub(super) shape: Vec<u64>,
    pub(super) strides: Vec<u64>,
}

/// A value; compound ones by their position in [`Objects`].
#[derive(Debug, Clone)]
pub(super) enum Value {
    None,
    Bool,
    Int(i64),
    Float,
    /// A whole number of more than eight bytes, little-endian.
    Long(Rc<[u8]>),
    Text(Rc<str>),
    Tuple(usize),
    List(usize),
    Dict(usize),
    Name(Name),
    Storage(usize),
    Tensor(usize),
}

/// Everything that a program made.
#[derive(Debug)]
pub(super) struct Objects {
    tuples: Vec<Vec<Value>>,
    lists: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    storages: Vec<StorageSpec>,
    pub(super) tensors: Vec<TensorSpec>,
    pub(super) result: Value,
}

impl Objects {
    pub(super) fn dictionary(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Dict(place) => Some(&self.dicts[*place]),
            _ => None,
        }
    }

    pub(super) fn list(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::List(place) => Some(&self.lists[*place]),
            _ => None,
        }
    }

    fn tuple(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::Tuple(place) => Some(&self.tuples[*place]),
            _ => None,
        }
    }

    fn add_tuple(&mut self, values: Vec<Value>) -> Value {
        self.tuples.push(values);
        Value::Tuple(self.tuples.len() - 1)
    }
}

/// Runs the program at the beginning of `bytes`; returns what it made and its length.
pub(super) fn run(bytes: &[u8]) -> Result<(Objects, usize), Fault> {
    let mut machine = Machine {
        program: &bytes[..bytes.len().min(LONGEST)],
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: Vec::new(),
        objects: Objects {
            tuples: Vec::new(),
            lists: Vec::new(),
            dicts: Vec::new(),
            storages: Vec::new(),
            tensors: Vec::new(),
            result: Value::None,
        },
    };
    while !machine.step()? {}
    machine.objects.result = machine.pop()?;
    Ok((machine.objects, machine.at))
}

struct Machine<'a> {
    program: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    marks: Vec<usize>,
    /// Remembered values; programs number them from 0 on without gaps.
    memo: Vec<Value>,
    objects: Objects,
}

impl Machine<'_> {
    /// One instruction; true after the last one.
    fn step(&mut self) -> Result<bool, Fault> {
        let code = self.take(1)?[0];
        match code {
            0x80 => {
                let version = self.take(1)?[0];
                if !(2..=3).contains(&version) {
                    return Err(format!("pickle protocol {version} is not known here"));
                }
            }
            b'.' => return Ok(true),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.stack.push(Value::None),
            0x88 | 0x89 => self.stack.push(Value::Bool),
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let value = self.array()?;
                self.stack.push(Value::Int(i64::from(i32::from_le_bytes(value))));
            }
            0x8a => self.long()?,
            b'G' => {
                self.take(8)?;
                self.stack.push(Value::Float);
            }
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.array()?) as usize;
                self.text(length)?;
            }
            b'U' => {
                let length = self.take(1)?[0];
                self.text(length.into())?;
            }
            b')' => {
                let empty = self.objects.add_tuple(Vec::new());
                self.stack.push(empty);
            }
            b't' => {
                let values = self.take_to_mark()?;
                let tuple = self.objects.add_tuple(values);
                self.stack.push(tuple);
            }
            0x85..=0x87 => {
                let count = usize::from(code - 0x84);
                let from = self.floor(count)?;
                let values = self.stack.split_off(from);
                let tuple = self.objects.add_tuple(values);
                self.stack.push(tuple);
            }
            b']' => {
                self.objects.lists.push(Vec::new());
                self.stack.push(Value::List(self.objects.lists.len() - 1));
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' => {
                let values = self.take_to_mark()?;
                self.append(values)?;
            }
            b'}' => self.new_dict(),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(vec![key, value])?;
            }
            b'u' => {
                let values = self.take_to_mark()?;
                self.insert(values)?;
            }
            b'q' => {
                let place = self.take(1)?[0];
                self.remember(place.into())?;
            }
            b'r' => {
                let place = u32::from_le_bytes(self.array()?);
                self.remember(place as usize)?;
            }
            b'h' => {
                let place = self.take(1)?[0];
                self.recall(place.into())?;
            }
            b'j' => {
                let place = u32::from_le_bytes(self.array()?);
                self.recall(place as usize)?;
            }
            b'c' => self.name()?,
            b'Q' => self.storage()?,
            b'R' => self.call()?,
            b'b' => {
                // Attributes of an ordered dictionary (PyTorch keeps versions there): not needed.
                self.pop()?;
                self.floor(1)?;
            }
            other => {
                return Err(format!(
                    "instruction {other:#04x} at byte {} does not occur in a state dict",
                    self.at - 1
                ));
            }
        }
        Ok(false)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Fault> {
        let end = self
            .at
            .checked_add(count)
            .filter(|&end| end <= self.program.len());
        let end = end.ok_or("its pickle is cut short")?;
        let bytes = &self.program[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn integer(&mut self, bytes: usize) -> Result<(), Fault> {
        let value = self
            .take(bytes)?
            .iter()
            .rev()
            .fold(0, |sum, &byte| sum << 8 | i64::from(byte));
        self.stack.push(Value::Int(value));
        Ok(())
    }

    fn long(&mut self) -> Result<(), Fault> {
        let length = usize::from(self.take(1)?[0]);
        let bytes = self.take(length)?;
        let value = if length <= 8 {
            let negative = bytes.last().is_some_and(|&byte| byte >= 128);
            let mut whole = [if negative { 255 } else { 0 }; 8];
            whole[..length].copy_from_slice(bytes);
            Value::Int(i64::from_le_bytes(whole))
        } else {
            Value::Long(bytes.into())
        };
        self.stack.push(value);
        Ok(())
    }

    fn text(&mut self, length: usize) -> Result<(), Fault> {
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(bytes)
            .map_err(|_| "a text in its pickle is not UTF-8")?
            .into();
        self.stack.push(Value::Text(text));
        Ok(())
    }

    /// Position from which on the stack, above the last mark, holds `count` values.
    fn floor(&self, count: usize) -> Result<usize, Fault> {
        let lowest = self.marks.last().copied().unwrap_or(0);
        let from = self.stack.len().checked_sub(count).filter(|&from| from >= lowest);
        from.ok_or_else(|| "its pickle takes a value that is not there".to_owned())
    }

    fn pop(&mut self) -> Result<Value, Fault> {
        self.floor(1)?;
        self.stack
            .pop()
            .ok_or_else(|| "its pickle leaves nothing".to_owned())
    }

    fn take_to_mark(&mut self) -> Result<Vec<Value>, Fault> {
        let mark = self.marks.pop().ok_or("its pickle lacks a mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, values: Vec<Value>) -> Result<(), Fault> {
        self.floor(1)?;
        match self.stack.last() {
            Some(&Value::List(place)) => {
                self.objects.lists[place].extend(values);
                Ok(())
            }
            _ => Err("its pickle appends to something that is not a list".into()),
        }
    }

    fn new_dict(&mut self) {
        self.objects.dicts.push(Vec::new());
        self.stack.push(Value::Dict(self.objects.dicts.len() - 1));
    }

    fn insert(&mut self, values: Vec<Value>) -> Result<(), Fault> {
        self.floor(1)?;
        let Some(&Value::Dict(place)) = self.stack.last() else {
            return Err("its pickle sets an entry of something that is not a dictionary".into());
        };
        let mut values = values.into_iter();
        while let Some(key) = values.next() {
            let value = values.next().ok_or("its pickle has a key without a value")?;
            self.objects.dicts[place].push((key, value));
        }
        Ok(())
    }

    fn remember(&mut self, place: usize) -> Result<(), Fault> {
        self.floor(1)?;
        let value = self.stack.last().cloned().unwrap_or(Value::None);
        match place.cmp(&self.memo.len()) {
            std::cmp::Ordering::Less => self.memo[place] = value,
            std::cmp::Ordering::Equal => self.memo.push(value),
            std::cmp::Ordering::Greater => return Err("its pickle numbers its values with gaps".into()),
        }
        Ok(())
    }

    fn recall(&mut self, place: usize) -> Result<(), Fault> {
        let value = self
            .memo
            .get(place)
            .cloned()
            .ok_or("its pickle recalls a value that it never had")?;
        self.stack.push(value);
        Ok(())
    }

    fn line(&mut self) -> Result<String, Fault> {
        let rest = &self.program[self.at..];
        // No name that is known here is longer.
        let length = rest
            .iter()
            .take(200)
            .position(|&byte| byte == b'\n')
            .ok_or("a name in its pickle does not end")?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }

    fn name(&mut self) -> Result<(), Fault> {
        let (module, name) = (self.line()?, self.line()?);
        let known = Name::find(&module, &name).ok_or_else(|| {
            format!(
                "its pickle asks for {:?}, which is nothing that weights need",
                format!("{module}.{name}")
            )
        })?;
        self.stack.push(Value::Name(known));
        Ok(())
    }

    /// A persistent id: ("storage", type, key, device, count) and, in older files, a view's place or none.
    fn storage(&mut self) -> Result<(), Fault> {
        let id = self.pop()?;
        let parts = self.objects.tuple(&id).unwrap_or_default();
        let spec = match parts {
            [
                Value::Text(kind),
                Value::Name(Name::Storage(number)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(count),
            ]
            | [
                Value::Text(kind),
                Value::Name(Name::Storage(number)),
                Value::Text(key),
                Value::Text(_),
                Value::Int(count),
                Value::None,
            ] if &**kind == "storage" && *count >= 0 => StorageSpec {
                key: key.clone(),
                number: *number,
                count: count.unsigned_abs(),
            },
            _ => return Err("its pickle refers to something that is not a plain storage".into()),
        };
        self.objects.storages.push(spec);
        self.stack.push(Value::Storage(self.objects.storages.len() - 1));
        Ok(())
    }

    fn call(&mut self) -> Result<(), Fault> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let wrong = || "its pickle makes an object in a way that is not known here".to_owned();
        let (Value::Name(name), Some(arguments)) = (function, self.objects.tuple(&arguments)) else {
            return Err(wrong());
        };
        match (name, arguments) {
            (Name::OrderedDict, []) => self.new_dict(),
            (Name::RebuildParameter, [Value::Tensor(place), ..]) => {
                let tensor = Value::Tensor(*place);
                self.stack.push(tensor);
            }
            (Name::RebuildTensor, [Value::Storage(storage), Value::Int(offset), shape, strides, ..]) => {
                let numbers = |value: &Value| -> Option<Vec<u64>> {
                    let whole = |value: &Value| match value {
                        Value::Int(number) => u64::try_from(*number).ok(),
                        _ => None,
                    };
                    self.objects.tuple(value)?.iter().map(whole).collect()
                };
                let spec = TensorSpec {
                    storage: self.objects.storages[*storage].clone(),
                    offset: u64::try_from(*offset).map_err(|_| wrong())?,
                    shape: numbers(shape).ok_or_else(wrong)?,
                    strides: numbers(strides).ok_or_else(wrong)?,
                };
                self.objects.tensors.push(spec);
                self.stack.push(Value::Tensor(self.objects.tensors.len() - 1));
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }
}
