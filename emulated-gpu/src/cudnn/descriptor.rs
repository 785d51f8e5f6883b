//! Descriptors: their attributes, which are numbers or other descriptors, and cuDNN's names for them.

use std::collections::HashMap;
use std::sync::Arc;

use super::{BAD_PARAM, Status};

/// `cudnnBackendAttributeType_t`: attributes that are descriptors.
pub(crate) const DESCRIPTOR: u32 = 15;

/// `cudnnBackendDescriptorType_t`.
pub(crate) mod kind {
    pub(crate) const ENGINE: u32 = 2;
    pub(crate) const CONFIGURATION: u32 = 3;
    pub(crate) const HEURISTICS: u32 = 4;
    pub(crate) const PLAN: u32 = 5;
    pub(crate) const KNOB: u32 = 7;
    pub(crate) const FORWARD: u32 = 10;
    pub(crate) const FILTERS: u32 = 11;
    pub(crate) const INPUT: u32 = 12;
    pub(crate) const POINTWISE: u32 = 13;
}

/// `cudnnBackendAttributeName_t`.
pub(crate) mod attribute {
    pub(crate) const POINTWISE_MODE: u32 = 0;
    pub(crate) const DILATIONS: u32 = 102;
    pub(crate) const STRIDES: u32 = 103;
    pub(crate) const POST_PADDINGS: u32 = 104;
    pub(crate) const PRE_PADDINGS: u32 = 105;
    pub(crate) const HEURISTICS_GRAPH: u32 = 201;
    pub(crate) const HEURISTICS_RESULTS: u32 = 202;
    pub(crate) const CONFIGURATION_ENGINE: u32 = 300;
    pub(crate) const CONFIGURATION_KNOBS: u32 = 302;
    pub(crate) const PLAN_CONFIGURATION: u32 = 401;
    pub(crate) const PLAN_WORKSPACE: u32 = 402;
    pub(crate) const KNOB_TYPE: u32 = 600;
    pub(crate) const KNOB_VALUE: u32 = 601;
    pub(crate) const POINTWISE_HOW: u32 = 750;
    pub(crate) const POINTWISE_X: u32 = 751;
    pub(crate) const POINTWISE_OTHER: u32 = 752;
    pub(crate) const POINTWISE_Y: u32 = 753;
    pub(crate) const OPERATIONS: u32 = 801;
    pub(crate) const ALIGNMENT: u32 = 900;
    pub(crate) const DATA_TYPE: u32 = 901;
    pub(crate) const DIMENSIONS: u32 = 902;
    pub(crate) const TENSOR_STRIDES: u32 = 903;
    pub(crate) const UNIQUE_ID: u32 = 906;
    pub(crate) const NAMES: u32 = 1000;
    pub(crate) const ADDRESSES: u32 = 1001;
    pub(crate) const WORKSPACE: u32 = 1003;
    pub(crate) const ENGINE_GRAPH: u32 = 1300;
    pub(crate) const ENGINE_INDEX: u32 = 1301;
    pub(crate) const NUMERICAL_NOTE: u32 = 1303;
    pub(crate) const BEHAVIOR_NOTE: u32 = 1305;
}

/// An attribute's values as bytes, or descriptors.
#[derive(Debug, Clone)]
pub(crate) enum Values {
    Bytes(Vec<u8>),
    Descriptors(Vec<Arc<Contents>>),
}

/// A descriptor's contents.
#[derive(Debug, Clone)]
pub(crate) struct Contents {
    pub(crate) kind: u32,
    pub(crate) finalized: bool,
    pub(crate) attributes: HashMap<u32, Values>,
}

/// What a program holds: an address of this.
pub(crate) type Descriptor = *mut Arc<Contents>;

impl Contents {
    pub(crate) fn new(kind: u32) -> Self {
        Self {
            kind,
            finalized: false,
            attributes: HashMap::new(),
        }
    }

    /// A finalized one with these attributes.
    pub(crate) fn made(kind: u32, attributes: impl IntoIterator<Item = (u32, Values)>) -> Arc<Self> {
        Arc::new(Self {
            kind,
            finalized: true,
            attributes: attributes.into_iter().collect(),
        })
    }

    pub(crate) fn numbers<const SIZE: usize, T>(
        &self,
        attribute: u32,
        of: impl Fn([u8; SIZE]) -> T,
    ) -> Result<Vec<T>, Status> {
        match self.attributes.get(&attribute) {
            Some(Values::Bytes(bytes)) => Ok(bytes
                .chunks_exact(SIZE)
                .map(|bytes| of(std::array::from_fn(|at| bytes[at])))
                .collect()),
            _ => Err(BAD_PARAM),
        }
    }

    pub(crate) fn long(&self, attribute: u32) -> Result<Vec<i64>, Status> {
        self.numbers(attribute, i64::from_ne_bytes)
    }

    pub(crate) fn word(&self, attribute: u32) -> Result<u32, Status> {
        let words = self.numbers(attribute, u32::from_ne_bytes)?;
        words.first().copied().ok_or(BAD_PARAM)
    }

    pub(crate) fn refers(&self, attribute: u32) -> Result<&[Arc<Contents>], Status> {
        match self.attributes.get(&attribute) {
            Some(Values::Descriptors(others)) => Ok(others),
            _ => Err(BAD_PARAM),
        }
    }

    pub(crate) fn refer(&self, attribute: u32) -> Result<&Arc<Contents>, Status> {
        self.refers(attribute)?.first().ok_or(BAD_PARAM)
    }
}

pub(crate) fn longs(values: &[i64]) -> Values {
    Values::Bytes(values.iter().flat_map(|value| value.to_ne_bytes()).collect())
}

pub(crate) fn words(values: &[u32]) -> Values {
    Values::Bytes(values.iter().flat_map(|value| value.to_ne_bytes()).collect())
}

/// Bytes of a value of a `cudnnBackendAttributeType_t`.
pub(crate) fn size_of_type(kind: u32) -> Option<usize> {
    Some(match kind {
        2 => 1,
        0 | 3 | 5 | 6 => 8,
        1 | 4 | 7 | 8 | 9 | 11 | 14 | 19 => 4,
        _ => return None,
    })
}
