//! The vectors that stand for everything normal.

use candle_core::{Device, Tensor};
use flawforge_ops::vectors::{Among, Bank, Neighbor, Panels};

use crate::ModelError;

/// A memory bank: vectors of normal patches, among which nearest neighbours are sought, exactly.
#[derive(Debug, Clone)]
pub struct MemoryBank(Bank);

impl MemoryBank {
    /// A bank of vectors, one after the other, of dimension `length`.
    ///
    /// # Errors
    /// No vectors, or numbers that are not finite.
    pub fn new(vectors: &[f32], length: usize) -> Result<Self, ModelError> {
        if vectors.is_empty() || length == 0 || !vectors.len().is_multiple_of(length) {
            return Err(ModelError::Vectors {
                count: vectors.len(),
                dimension: length,
            });
        }
        if vectors.iter().any(|value| !value.is_finite()) {
            return Err(ModelError::InfiniteVector);
        }
        Ok(Self(Bank::new(Panels::new(vectors, length))))
    }

    /// The same bank, whose neighbours a device seeks ([`Bank::on`]).
    ///
    /// # Errors
    /// As [`Bank::on`].
    pub fn on(self, device: &Device) -> Result<Self, ModelError> {
        Ok(Self(self.0.on(device)?))
    }

    /// A bank of the same vectors and others behind them, sought on the processor.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(&self, vectors: &[f32]) -> Result<Self, ModelError> {
        let mut all = self.0.vectors().to_vec();
        all.extend_from_slice(vectors);
        Self::new(&all, self.length())
    }

    /// The bank of a tensor (vectors, length).
    ///
    /// # Errors
    /// As [`Self::new`]; a tensor of another shape.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self, ModelError> {
        let (_, length) = tensor.dims2()?;
        Self::new(&tensor.flatten_all()?.to_vec1::<f32>()?, length)
    }

    /// The vectors as a tensor (vectors, length).
    ///
    /// # Errors
    /// A failed allocation.
    pub fn to_tensor(&self) -> Result<Tensor, ModelError> {
        let shape = (self.len(), self.length());
        Ok(Tensor::from_vec(self.0.vectors().to_vec(), shape, &Device::Cpu)?)
    }

    /// The numbers of all vectors, one after the other.
    pub(crate) fn values(&self) -> Vec<f32> {
        self.0.vectors().to_vec()
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.0.vectors().len()
    }

    /// Always false: there is no empty bank.
    pub fn is_empty(&self) -> bool {
        self.0.vectors().is_empty()
    }

    /// Dimension of the vectors.
    pub fn length(&self) -> usize {
        self.0.vectors().length()
    }

    /// The nearest vector of each query.
    ///
    /// # Errors
    /// Queries of another length, or with numbers that are not finite; where a device fails.
    pub fn nearest(&self, queries: &[f32]) -> Result<Vec<Neighbor>, ModelError> {
        self.check(queries)?;
        Ok(self.0.nearest(queries)?)
    }

    /// All vectors but those of one origin, with the origins of all: of a normal image, for example, that is to be compared with
    /// the others. `None` if there are no others.
    ///
    /// # Errors
    /// Another number of origins than of vectors.
    pub fn without(&self, origin: u32, origins: &[u32]) -> Result<Option<Among>, ModelError> {
        if origins.len() != self.len() {
            return Err(ModelError::Origins {
                origins: origins.len(),
                vectors: self.len(),
            });
        }
        Ok(self.0.among(|index| origins[index] != origin))
    }

    /// As [`nearest`](Self::nearest), among some of the vectors.
    ///
    /// # Errors
    /// As [`nearest`](Self::nearest); vectors of another bank.
    pub fn nearest_among(&self, among: &Among, queries: &[f32]) -> Result<Vec<Neighbor>, ModelError> {
        self.check(queries)?;
        Ok(self.0.nearest_among(among, queries)?)
    }

    fn check(&self, queries: &[f32]) -> Result<(), ModelError> {
        if !queries.len().is_multiple_of(self.length()) {
            return Err(ModelError::Vectors {
                count: queries.len(),
                dimension: self.length(),
            });
        }
        if queries.iter().any(|value| !value.is_finite()) {
            return Err(ModelError::InfiniteVector);
        }
        Ok(())
    }

    /// The paper's re-weighted score of a patch (its eq. 7): `(1 - exp(d) / Σ exp(d_m)) d`, where `d` is the plain
    /// distance to the nearest vector, and `m` runs over the `count` vectors nearest to that one, itself included; all of them or
    /// those among some. A patch whose neighbour is alone in the bank is thereby more anomalous.
    pub fn reweighted(&self, query: &[f32], nearest: Neighbor, count: usize, among: Option<&Among>) -> f32 {
        let center: Vec<f32> = self.0.vectors().vector(nearest.index).collect();
        let mut around: Vec<(f64, usize)> = (0..self.len())
            .filter(|&index| among.is_none_or(|among| among.has(index)))
            .map(|index| (self.0.squared_distance(&center, index), index))
            .collect();
        let count = count.clamp(1, around.len());
        around.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let distance = self.0.squared_distance(query, nearest.index).sqrt();
        // Relative to the nearest, so that no exponential overflows.
        let sum: f64 = around[..count]
            .iter()
            .map(|&(_, index)| (self.0.squared_distance(query, index).sqrt() - distance).exp())
            .sum();
        ((1.0 - 1.0 / sum) * distance) as f32
    }
}
