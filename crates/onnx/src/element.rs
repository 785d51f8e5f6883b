//! Types of numbers.

/// The type of a tensor's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit floating point.
    F32,
    /// 16-bit floating point (IEEE half precision).
    F16,
    /// 64-bit floating point.
    F64,
    /// Bytes.
    U8,
    /// 32-bit whole numbers.
    I32,
    /// 64-bit whole numbers: sizes and places.
    I64,
    /// True or false.
    Bool,
}

impl Element {
    /// ONNX's number of the type (`TensorProto.DataType`).
    pub fn code(self) -> i32 {
        match self {
            Self::F32 => 1,
            Self::U8 => 2,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::Bool => 9,
            Self::F16 => 10,
            Self::F64 => 11,
        }
    }

    /// Its name, as numpy has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::F64 => "float64",
            Self::U8 => "uint8",
            Self::I32 => "int32",
            Self::I64 => "int64",
            Self::Bool => "bool",
        }
    }
}
