//! Which of cuDNN's engines computes a convolution: found by measuring, kept by name.

use std::fmt;
use std::str::FromStr;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::cudnn::sys::{
    self, cudnnBackendAttributeName_t as Attribute, cudnnBackendAttributeType_t as Type,
    cudnnBackendBehaviorNote_t as Behavior, cudnnBackendDescriptorType_t as Kind,
    cudnnBackendHeurMode_t as Mode, cudnnBackendNumericalNote_t as Numerical,
};
use candle_core::cuda_backend::cudarc::driver::sys::CUevent_flags;
use candle_core::{Error, Result};

use super::descriptor::{BehaviorNote, Descriptor, Knob, NumericalNote};
use super::operation::{OperationGraph, Pass};
use super::size::ConvSize;
use crate::Precision;
use crate::cuda::gpu::Gpu;

/// Engines that are measured for a convolution at most.
pub(super) const CANDIDATES: usize = 12;
/// The same of engines that cuDNN compiles first.
const COMPILED_CANDIDATES: usize = 3;
/// Knobs of an engine at most.
const KNOBS: usize = 64;
/// Workspace of an engine at most, in bytes.
pub(super) const WORKSPACE: usize = 1 << 30;
/// Runs in front of the measured ones, and measured runs.
const WARM_UP: usize = 1;
const RUNS: usize = 4;

/// An engine and how its knobs are turned. It is the same computation in every process, as long as GPU and cuDNN are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Choice {
    engine: i64,
    /// Knob and value, sorted.
    knobs: Vec<(u32, i64)>,
}

/// `ENGINE KNOB=VALUE KNOB=VALUE …`
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.engine)?;
        self.knobs
            .iter()
            .try_for_each(|(knob, value)| write!(f, " {knob}={value}"))
    }
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fault = || Error::msg(format!("{text:?} names no engine of cuDNN"));
        let mut words = text.split_whitespace();
        let engine = words
            .next()
            .and_then(|word| word.parse().ok())
            .ok_or_else(fault)?;
        let knobs = words
            .map(|word| {
                let (knob, value) = word.split_once('=')?;
                Some((knob.parse().ok()?, value.parse().ok()?))
            })
            .collect::<Option<_>>()
            .ok_or_else(fault)?;
        Ok(Self { engine, knobs })
    }
}

/// An engine that is ready to run.
pub(super) struct Plan {
    plan: Descriptor,
    pub(super) choice: Choice,
    pub(super) workspace: usize,
    // What the plan may refer to.
    _configuration: Descriptor,
    _graph: std::rc::Rc<OperationGraph>,
}

impl Plan {
    fn new(
        handle: sys::cudnnHandle_t,
        graph: &std::rc::Rc<OperationGraph>,
        configuration: Descriptor,
        choice: Choice,
    ) -> Result<Self> {
        let plan = Descriptor::new(Kind::CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR)?;
        plan.set(Attribute::CUDNN_ATTR_EXECUTION_PLAN_HANDLE, &[handle])?;
        plan.refer(
            Attribute::CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
            &[&configuration],
        )?;
        let plan = plan.finalize()?;
        let bytes = plan.get(Attribute::CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 1, 0i64)?;
        let bytes = bytes.first().copied().unwrap_or(0);
        Ok(Self {
            plan,
            choice,
            workspace: usize::try_from(bytes).unwrap_or(0),
            _configuration: configuration,
            _graph: graph.clone(),
        })
    }

    /// Enqueues the computation; `workspace` is as large as asked for.
    pub(super) fn run(&self, handle: sys::cudnnHandle_t, pass: Pass, workspace: u64) -> Result<()> {
        self.plan.execute(handle, &pass.addresses(workspace)?)
    }
}

/// Where plans for a convolution come from.
pub(super) struct Planner {
    handle: sys::cudnnHandle_t,
    graph: std::rc::Rc<OperationGraph>,
    precision: Precision,
}

impl Planner {
    pub(super) fn new(
        handle: sys::cudnnHandle_t,
        size: ConvSize,
        precision: Precision,
        pass: Pass,
    ) -> Result<Self> {
        let graph = OperationGraph::new(handle, size, precision, pass.kind())?;
        Ok(Self {
            handle,
            graph: std::rc::Rc::new(graph),
            precision,
        })
    }

    /// The plan of a choice that was made earlier.
    pub(super) fn chosen(&self, choice: &Choice) -> Result<Plan> {
        let engine = Descriptor::new(Kind::CUDNN_BACKEND_ENGINE_DESCRIPTOR)?;
        engine.refer(Attribute::CUDNN_ATTR_ENGINE_OPERATION_GRAPH, &[&self.graph.graph])?;
        engine.set(Attribute::CUDNN_ATTR_ENGINE_GLOBAL_INDEX, &[choice.engine])?;
        let engine = engine.finalize()?;
        let knobs = choice
            .knobs
            .iter()
            .map(|&(knob, value)| {
                let turned = Descriptor::new(Kind::CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR)?;
                turned.set(Attribute::CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, &[Knob(knob)])?;
                turned.set(Attribute::CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, &[value])?;
                turned.finalize()
            })
            .collect::<Result<Vec<_>>>()?;
        let configuration = Descriptor::new(Kind::CUDNN_BACKEND_ENGINECFG_DESCRIPTOR)?;
        configuration.refer(Attribute::CUDNN_ATTR_ENGINECFG_ENGINE, &[&engine])?;
        if !knobs.is_empty() {
            let knobs: Vec<&Descriptor> = knobs.iter().collect();
            configuration.refer(Attribute::CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, &knobs)?;
        }
        let configuration = configuration.finalize()?;
        Plan::new(self.handle, &self.graph, configuration, choice.clone())
    }

    /// The plans that repeat themselves bit for bit, those first that cuDNN expects to be fast. Engines that cuDNN compiles
    /// first, which takes up to a second each, are among them where there are no others.
    pub(super) fn candidates(&self) -> Result<Vec<Plan>> {
        let ready = self.search(false, CANDIDATES)?;
        if ready.is_empty() {
            return self.search(true, COMPILED_CANDIDATES);
        }
        Ok(ready)
    }

    /// As [`candidates`](Self::candidates), at most so many, with or without engines that are compiled first.
    pub(super) fn search(&self, compiled: bool, most: usize) -> Result<Vec<Plan>> {
        let mut plans: Vec<Plan> = Vec::new();
        for mode in [Mode::CUDNN_HEUR_MODE_A, Mode::CUDNN_HEUR_MODE_FALLBACK] {
            for configuration in self.proposals(mode)? {
                if plans.len() == most {
                    return Ok(plans);
                }
                let Some(choice) = self.usable(&configuration, compiled)? else {
                    continue;
                };
                if plans.iter().any(|plan| plan.choice == choice) {
                    continue;
                }
                // Some proposals turn out not to fit only here.
                if let Ok(plan) = Plan::new(self.handle, &self.graph, configuration, choice)
                    && plan.workspace <= WORKSPACE
                {
                    plans.push(plan);
                }
            }
            if mode == Mode::CUDNN_HEUR_MODE_A && !plans.is_empty() {
                break;
            }
        }
        Ok(plans)
    }

    /// What cuDNN's heuristics propose, best first. None is not an error.
    fn proposals(&self, mode: Mode) -> Result<Vec<Descriptor>> {
        let heuristics = Descriptor::new(Kind::CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR)?;
        heuristics.refer(
            Attribute::CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH,
            &[&self.graph.graph],
        )?;
        heuristics.set(Attribute::CUDNN_ATTR_ENGINEHEUR_MODE, &[mode])?;
        let Ok(heuristics) = heuristics.finalize() else {
            return Ok(Vec::new());
        };
        let results = Attribute::CUDNN_ATTR_ENGINEHEUR_RESULTS;
        let count = heuristics.count(results, Type::CUDNN_TYPE_BACKEND_DESCRIPTOR)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        heuristics.get_descriptors(results, Kind::CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, count)
    }

    /// The choice that a proposal stands for, unless it does not repeat itself, computes in another precision, or would be
    /// compiled first and must not be.
    fn usable(&self, configuration: &Descriptor, compiled: bool) -> Result<Option<Choice>> {
        let engine = Attribute::CUDNN_ATTR_ENGINECFG_ENGINE;
        let engines = configuration.get_descriptors(engine, Kind::CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1)?;
        let Some(engine) = engines.first() else {
            return Ok(None);
        };
        let notes = engine.get(Attribute::CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, 32, NumericalNote(0))?;
        let has = |note: Numerical| notes.contains(&NumericalNote(note as u32));
        let replaced = has(Numerical::CUDNN_NUMERICAL_NOTE_TENSOR_CORE)
            || has(Numerical::CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS);
        if has(Numerical::CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC)
            || has(Numerical::CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION)
            || self.precision == Precision::F32 && replaced
        {
            return Ok(None);
        }
        let needs = engine.get(Attribute::CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, 32, BehaviorNote(0))?;
        let compile = BehaviorNote(Behavior::CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION as u32);
        if !compiled && needs.contains(&compile) {
            return Ok(None);
        }
        let index = engine.get(Attribute::CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 1, 0i64)?;
        // cuDNN does not say how many there are before there is room for them.
        let turned = configuration.get_descriptors(
            Attribute::CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
            Kind::CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR,
            KNOBS,
        )?;
        let mut knobs = Vec::new();
        for turned in &turned {
            let knob = turned.get(Attribute::CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, 1, Knob(0))?;
            let value = turned.get(Attribute::CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, 1, 0i64)?;
            if let (Some(knob), Some(value)) = (knob.first(), value.first()) {
                knobs.push((knob.0, *value));
            }
        }
        knobs.sort_unstable();
        Ok(index.first().map(|&engine| Choice { engine, knobs }))
    }
}

/// Milliseconds of a plan on the given addresses, the mean of a few runs; the result is written again and again.
pub(super) fn measure(
    gpu: &Gpu,
    handle: sys::cudnnHandle_t,
    plan: &Plan,
    pass: Pass,
    workspace: u64,
) -> Result<f32> {
    let pack = pass.addresses(workspace)?;
    for _ in 0..WARM_UP {
        plan.plan.execute(handle, &pack)?;
    }
    let mark = || gpu.stream.record_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).w();
    let began = mark()?;
    for _ in 0..RUNS {
        plan.plan.execute(handle, &pack)?;
    }
    let ended = mark()?;
    ended.synchronize().w()?;
    Ok(began.elapsed_ms(&ended).w()? / RUNS as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_written_and_read_back() {
        let choice = Choice {
            engine: 38,
            knobs: vec![(2, 18), (6, -1)],
        };
        assert_eq!(choice.to_string(), "38 2=18 6=-1");
        assert_eq!("38 2=18 6=-1".parse::<Choice>().unwrap(), choice);
        assert_eq!("7".parse::<Choice>().unwrap().knobs, []);
        for wrong in ["", "x", "3 2", "3 a=1"] {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
    }
}
