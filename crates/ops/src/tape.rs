//! The tape: gradients of whole training steps without candle's sums.
//!
//! candle's `backward` starts every gradient as zeros and adds to them, which for tensors of tens of megabytes costs a
//! fifth of a training step. The tape keeps the first gradient of a tensor and adds only from the second on. It drops
//! every tensor as soon as no earlier operator needs it.
//!
//! Recorded results look like variables to candle. That makes mixing safe: candle tracks whatever its own operations
//! compute from them, and an operator or a loss that meets such a tensor refuses it. A plain tensor would lose its
//! gradient without a word. `detach()` ends the gradient, as always.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::marker::PhantomData;

use candle_core::backprop::GradStore;
use candle_core::op::BackpropOp;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Error, Result, Shape, Storage, Tensor,
    TensorId, Var, bail,
};

use crate::cpu::{Isa, add as kernel};
#[cfg(feature = "cuda")]
use crate::cuda;
use crate::elements::{on_cpu_f32, with_elements2};

thread_local! {
    /// The tapes of this thread, the innermost last.
    static TAPES: RefCell<Vec<Recording>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// What a tape has seen.
#[derive(Default)]
struct Recording {
    id: u64,
    nodes: Vec<Node>,
    /// An operator with tracked arguments was composed of candle's primitives; its graph is candle's.
    by_candle: bool,
}

/// One application of an operator.
struct Node {
    operation: Operation,
    output: Tensor,
}

enum Operation {
    One(Box<dyn CustomOp1>, Tensor),
    Two(Box<dyn CustomOp2>, [Tensor; 2]),
    Three(Box<dyn CustomOp3>, [Tensor; 3]),
}

/// A record of the operators that the current thread runs while it exists.
///
/// An operator is recorded when it runs as a kernel and one of its arguments wants a gradient: a variable, or a result on
/// the tape. Operators without a kernel for their tensors are tracked by candle. If all of a step are, the tape calls
/// candle's `backward`, so that callers need not know which they were.
///
/// Tapes nest per thread: only the innermost records. Results that one tape has recorded are plain variables to another.
/// What other threads run is not recorded.
///
/// ```
/// use candle_core::{Device, Tensor, Var};
/// use flawforge_ops::{Tape, mse_loss, relu};
///
/// # fn main() -> candle_core::Result<()> {
/// let x = Var::new(&[1f32, -1.0], &Device::Cpu)?;
/// let target = Tensor::new(&[0f32, 0.0], &Device::Cpu)?;
/// let tape = Tape::record();
/// let loss = mse_loss(&relu(&x)?, &target)?;
/// let gradients = tape.backward(&[(&loss, 1.0)])?;
/// assert_eq!(gradients.get(&x).unwrap().to_vec1::<f32>()?, [1.0, 0.0]);
/// # Ok(())
/// # }
/// ```
#[must_use = "a tape records until it is dropped"]
#[derive(Debug)]
pub struct Tape {
    id: u64,
    /// The record lies with the thread.
    not_send: PhantomData<*const ()>,
}

impl Tape {
    /// Starts recording on this thread, until [`backward`](Self::backward) or the end of the tape.
    pub fn record() -> Self {
        let id = NEXT.with(|next| next.replace(next.get() + 1));
        let recording = Recording {
            id,
            ..Recording::default()
        };
        TAPES.with_borrow_mut(|tapes| tapes.push(recording));
        Self {
            id,
            not_send: PhantomData,
        }
    }

    /// Operators recorded so far.
    pub fn len(&self) -> usize {
        TAPES.with_borrow(|tapes| {
            let own = tapes.iter().find(|tape| tape.id == self.id);
            own.map_or(0, |tape| tape.nodes.len())
        })
    }

    /// True when nothing has been recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The gradients of `Σ factor · loss` for all variables, and the end of the tape.
    ///
    /// A loss that depends on no variable adds nothing.
    ///
    /// # Errors
    /// A loss that is not a single number; one that candle's own operations have computed from variables or from
    /// results on the tape, or that another tape has recorded; operators of both kinds, kernels and reference, on one
    /// tape.
    pub fn backward(self, losses: &[(&Tensor, f64)]) -> Result<Gradients> {
        // Closed first: nothing below is recorded, and the record is gone whatever happens.
        let Some(Recording { nodes, by_candle, .. }) = take(self.id) else {
            bail!("tape: it is not this thread's");
        };
        if let Some((loss, _)) = losses.iter().find(|(loss, _)| loss.elem_count() != 1) {
            bail!("tape: a loss must be one number, this one is {:?}", loss.dims());
        }
        if !by_candle {
            return walk(nodes, losses);
        }
        if !nodes.is_empty() {
            bail!("tape: some operators ran as kernels, others were composed of candle's primitives");
        }
        let mut total: Option<Tensor> = None;
        for (loss, factor) in losses {
            let term = (*loss * *factor)?;
            total = Some(match total {
                Some(total) => (total + term)?,
                None => term,
            });
        }
        Ok(Gradients(match total {
            Some(total) => Store::Candle(total.backward()?),
            None => Store::Own(HashMap::new()),
        }))
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        drop(take(self.id));
    }
}

/// Ends the tape and hands out its record.
fn take(id: u64) -> Option<Recording> {
    // A thread that is ending may have dropped its tapes already.
    TAPES
        .try_with(|tapes| {
            let mut tapes = tapes.borrow_mut();
            let position = tapes.iter().position(|tape| tape.id == id)?;
            Some(tapes.remove(position))
        })
        .ok()
        .flatten()
}

fn walk(mut nodes: Vec<Node>, losses: &[(&Tensor, f64)]) -> Result<Gradients> {
    let mut pending = HashMap::new();
    for (loss, factor) in losses {
        if nodes.iter().any(|node| node.output.id() == loss.id()) {
            let seed = Tensor::full(*factor as f32, loss.shape(), loss.device())?;
            add(&mut pending, loss, Some(seed))?;
        } else if loss.track_op() {
            bail!("tape: a loss was not computed by a recorded operator; its gradient would be lost");
        }
    }
    // Nodes and gradients are dropped as soon as they have been used.
    while let Some(Node { operation, output }) = nodes.pop() {
        let Some(dy) = pending.remove(&output.id()) else {
            continue;
        };
        match operation {
            Operation::One(op, x) => {
                let dx = op.bwd(&x, &output, &dy)?;
                drop((dy, output));
                add(&mut pending, &x, dx)?;
            }
            Operation::Two(op, [a, b]) => {
                let (da, db) = op.bwd(&a, &b, &output, &dy)?;
                drop((dy, output));
                add(&mut pending, &a, da)?;
                add(&mut pending, &b, db)?;
            }
            Operation::Three(op, [a, b, c]) => {
                let (da, db, dc) = op.bwd(&a, &b, &c, &output, &dy)?;
                drop((dy, output));
                add(&mut pending, &a, da)?;
                add(&mut pending, &b, db)?;
                add(&mut pending, &c, dc)?;
            }
        }
    }
    Ok(Gradients(Store::Own(pending)))
}

fn add(pending: &mut HashMap<TensorId, Tensor>, tensor: &Tensor, gradient: Option<Tensor>) -> Result<()> {
    let Some(gradient) = gradient.filter(|_| tensor.track_op()) else {
        return Ok(());
    };
    let sum = match pending.remove(&tensor.id()) {
        Some(earlier) => sum(&earlier, &gradient)?,
        None => gradient,
    };
    pending.insert(tensor.id(), sum);
    Ok(())
}

/// Two gradients of the same tensor together.
fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if a.shape() == b.shape() && a.dtype() == b.dtype() && crate::dispatch::on_gpu(&[a, b]) {
        return cuda::compute_numbers("tape", [a, b], |gpu, [x, y]| {
            Ok(cuda::add(gpu, x, y)?.tensor(gpu, a.shape()))
        });
    }
    if a.shape() != b.shape() || !on_cpu_f32(&[a, b]) {
        return a + b;
    }
    with_elements2("tape", a, b, |x, y| {
        Tensor::from_vec(kernel::sum(x, y, false, Isa::detect()), a.shape(), a.device())
    })
}

/// The gradients that a tape computed.
#[derive(Debug)]
pub struct Gradients(Store);

#[derive(Debug)]
enum Store {
    Own(HashMap<TensorId, Tensor>),
    Candle(GradStore),
}

impl Gradients {
    /// The gradient of a variable, of its shape; none if no loss depends on it.
    pub fn get(&self, variable: &Var) -> Option<&Tensor> {
        match &self.0 {
            Store::Own(gradients) => gradients.get(&variable.id()),
            Store::Candle(gradients) => gradients.get(variable),
        }
    }
}

/// Where an optimiser finds gradients: [`Gradients`] of a tape or candle's [`GradStore`].
pub trait GradientSource {
    /// The gradient of a variable, if there is one.
    fn gradient(&self, variable: &Var) -> Option<&Tensor>;
}

impl GradientSource for Gradients {
    fn gradient(&self, variable: &Var) -> Option<&Tensor> {
        self.get(variable)
    }
}

impl GradientSource for GradStore {
    fn gradient(&self, variable: &Var) -> Option<&Tensor> {
        self.get(variable)
    }
}

/// Tells the tape that an operator of these tensors is composed of candle's primitives.
pub(crate) fn note_reference(tensors: &[&Tensor]) {
    if tensors.iter().any(|tensor| tensor.track_op()) {
        TAPES.with_borrow_mut(|tapes| {
            if let Some(tape) = tapes.last_mut() {
                tape.by_candle = true;
            }
        });
    }
}

fn recording() -> bool {
    TAPES.with_borrow(|tapes| !tapes.is_empty())
}

/// Whether an operator of these arguments must be recorded.
fn wanted(op: &'static str, arguments: &[&Tensor]) -> Result<bool> {
    for argument in arguments {
        if argument.track_op() && !argument.is_variable() {
            bail!(
                "{op}: while a tape records, an argument {:?} was computed by candle's own operations from a \
                 variable or a recorded result; its gradient would be lost",
                argument.dims()
            );
        }
    }
    Ok(arguments.iter().any(|argument| argument.track_op()))
}

/// Puts a result on the tape.
fn push(operation: Operation, (storage, shape): (Storage, Shape)) -> Tensor {
    // A variable in candle's eyes; see the head of the file.
    let output = Tensor::from_storage(storage, shape, BackpropOp::none(), true);
    let node = Node {
        operation,
        output: output.clone(),
    };
    TAPES.with_borrow_mut(|tapes| {
        if let Some(tape) = tapes.last_mut() {
            tape.nodes.push(node);
        }
    });
    output
}

fn in_memory((storage, shape): (CpuStorage, Shape)) -> (Storage, Shape) {
    (Storage::Cpu(storage), shape)
}

fn on_gpu((storage, shape): (CudaStorage, Shape)) -> (Storage, Shape) {
    (Storage::Cuda(storage), shape)
}

fn elsewhere(op: &'static str) -> Error {
    Error::msg(format!(
        "{op}: the tensors do not all lie in main memory, nor all on a CUDA device"
    ))
}

/// Runs an operator of one tensor, recorded by the tape if there is one, else by candle.
pub(crate) fn apply1(x: &Tensor, op: impl CustomOp1 + Send + Sync + 'static) -> Result<Tensor> {
    if !recording() {
        return x.apply_op1(op);
    }
    if !wanted(op.name(), &[x])? {
        return x.apply_op1_no_bwd(&op);
    }
    let (storage, layout) = x.storage_and_layout();
    let result = match &*storage {
        Storage::Cpu(x) => in_memory(op.cpu_fwd(x, layout)?),
        Storage::Cuda(x) => on_gpu(op.cuda_fwd(x, layout)?),
        Storage::Metal(_) => return Err(elsewhere(op.name())),
    };
    Ok(push(Operation::One(Box::new(op), x.clone()), result))
}

/// [`apply1`] for two tensors.
pub(crate) fn apply2(a: &Tensor, b: &Tensor, op: impl CustomOp2 + Send + Sync + 'static) -> Result<Tensor> {
    if !recording() {
        return a.apply_op2(b, op);
    }
    if !wanted(op.name(), &[a, b])? {
        return a.apply_op2_no_bwd(b, &op);
    }
    let ((of_a, layout_a), (of_b, layout_b)) = (a.storage_and_layout(), b.storage_and_layout());
    let result = match (&*of_a, &*of_b) {
        (Storage::Cpu(a), Storage::Cpu(b)) => in_memory(op.cpu_fwd(a, layout_a, b, layout_b)?),
        (Storage::Cuda(a), Storage::Cuda(b)) => on_gpu(op.cuda_fwd(a, layout_a, b, layout_b)?),
        _ => return Err(elsewhere(op.name())),
    };
    let arguments = [a.clone(), b.clone()];
    Ok(push(Operation::Two(Box::new(op), arguments), result))
}

/// [`apply1`] for three tensors.
pub(crate) fn apply3(
    a: &Tensor,
    b: &Tensor,
    c: &Tensor,
    op: impl CustomOp3 + Send + Sync + 'static,
) -> Result<Tensor> {
    if !recording() {
        return a.apply_op3(b, c, op);
    }
    if !wanted(op.name(), &[a, b, c])? {
        return a.apply_op3_no_bwd(b, c, &op);
    }
    let ((of_a, layout_a), (of_b, layout_b)) = (a.storage_and_layout(), b.storage_and_layout());
    let (of_c, layout_c) = c.storage_and_layout();
    let result = match (&*of_a, &*of_b, &*of_c) {
        (Storage::Cpu(a), Storage::Cpu(b), Storage::Cpu(c)) => {
            in_memory(op.cpu_fwd(a, layout_a, b, layout_b, c, layout_c)?)
        }
        (Storage::Cuda(a), Storage::Cuda(b), Storage::Cuda(c)) => {
            on_gpu(op.cuda_fwd(a, layout_a, b, layout_b, c, layout_c)?)
        }
        _ => return Err(elsewhere(op.name())),
    };
    let arguments = [a.clone(), b.clone(), c.clone()];
    Ok(push(Operation::Three(Box::new(op), arguments), result))
}
