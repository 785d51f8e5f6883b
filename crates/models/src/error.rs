//! What can be wrong with a model, its weights or its images.

use std::path::PathBuf;

use candle_core::DType;

/// What can go wrong with networks, their weights and the images they are given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(candle_core::Error),
    /// A set of weights lacks a tensor of the network.
    #[error("tensor {name:?} is missing")]
    MissingTensor {
        /// Name in the network.
        name: String,
    },
    /// A set of weights holds a tensor that the network does not have.
    #[error("tensor {name:?} does not belong to this network")]
    UnexpectedTensor {
        /// Name in the set.
        name: String,
    },
    /// A tensor has another shape than the network's.
    #[error("tensor {name:?} has shape {found:?}, the network needs {expected:?}")]
    WrongShape {
        /// Name in the network.
        name: String,
        /// Shape in the network.
        expected: Vec<usize>,
        /// Shape in the set.
        found: Vec<usize>,
    },
    /// A tensor is of a type that weights cannot be made from.
    #[error("tensor {name:?} holds {found:?}, not floating-point numbers")]
    WrongType {
        /// Name in the network.
        name: String,
        /// Type in the set.
        found: DType,
    },
    /// A weight is infinite or not a number.
    #[error("tensor {name:?} holds a value that is not finite")]
    NotFinite {
        /// Name in the network.
        name: String,
    },
    /// A network without channels was asked for.
    #[error("a network's width must be at least 1")]
    NoWidth,
    /// A network's width cannot be divided as its layers need it.
    #[error("the network's width must be a multiple of {multiple}, not {width}")]
    Width {
        /// The width.
        width: usize,
        /// What it must be a multiple of.
        multiple: usize,
    },
    /// A weight file could not be written; the text names it.
    #[error(transparent)]
    Write(std::io::Error),
    /// A weight file could not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not a safetensors file, or not a whole one.
    #[error("{}: not a whole safetensors file: {source}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: safetensors::SafeTensorError,
    },
    /// A file is no weight file of PyTorch that can be read here.
    #[error("{}: not a weight file of PyTorch: {fault}", path.display())]
    PyTorch {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// A weight file is not what it should be.
    #[error("{}: {source}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// Which tensor, and why.
        source: Box<ModelError>,
    },
    /// Images that cannot be halved as often as the network does.
    #[error("the network needs a width and height divisible by {multiple}, not {width}x{height}")]
    Size {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// What both must be a positive multiple of.
        multiple: usize,
    },
    /// An image of another size than the detector's or than the first of its batch.
    #[error("image {index} is {}x{}, not {}x{}", found.0, found.1, expected.0, expected.1)]
    ImageSize {
        /// Place in the batch, from 0.
        index: usize,
        /// Width and height in pixels that were needed.
        expected: (u32, u32),
        /// Width and height in pixels that came.
        found: (u32, u32),
    },
    /// A centre crop that does not fit its image, or a map that does not fit its crop. Sizes are (width, height) in pixels.
    #[error("a centre crop of {crop:?} pixels does not fit images of {image:?} and maps of {map:?}")]
    CenterCrop {
        /// Size of the images.
        image: (u32, u32),
        /// Size of the crop.
        crop: (u32, u32),
        /// Size of the maps.
        map: (u32, u32),
    },
    /// Numbers that do not make up whole vectors of the memory bank's dimension, or none at all.
    #[error("memory bank: {count} numbers are no vectors of dimension {dimension}")]
    Vectors {
        /// How many numbers came.
        count: usize,
        /// Dimension of a vector.
        dimension: usize,
    },
    /// A number of a vector is infinite or not a number.
    #[error("memory bank: a vector holds a number that is not finite")]
    InfiniteVector,
    /// A memory bank's vectors have another dimension than the features that are sought in it.
    #[error("memory bank: its vectors have dimension {bank}, the features {features}")]
    Dimension {
        /// Dimension of the bank's vectors.
        bank: usize,
        /// Dimension of the features.
        features: usize,
    },
    /// A memory bank does not know of each vector where it is from.
    #[error("memory bank: {origins} origins of {vectors} vectors")]
    Origins {
        /// How many origins came.
        origins: usize,
        /// How many vectors there are.
        vectors: usize,
    },
    /// A residual network ends before the stage whose output is needed.
    #[error("the network has {found} stages, {needed} are needed")]
    Stages {
        /// Stages of the network.
        found: usize,
        /// Stages that are needed.
        needed: usize,
    },
    /// A network has no features of a stride that was asked for.
    #[error("the network has no features of stride {stride}")]
    Stride {
        /// The stride, in pixels.
        stride: usize,
    },
    /// A detector that is not told as a computation graph.
    #[error("this detector cannot be exported: {reason}")]
    NotExportable {
        /// Why.
        reason: String,
    },
    /// A batch without images.
    #[error("a batch needs at least one image")]
    NoImages,
}

impl From<candle_core::Error> for ModelError {
    /// A GPU whose memory is full is told with numbers.
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(flawforge_ops::runtime::explained(error))
    }
}
