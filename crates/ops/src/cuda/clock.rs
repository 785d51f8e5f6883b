//! Time that the device spent, by its own clock.

use std::sync::Arc;

use candle_core::cuda_backend::WrapErr;
use candle_core::cuda_backend::cudarc::driver::{CudaEvent, CudaStream, sys};
use candle_core::{Device, Result};

/// Spans that are waited for at most; older ones are added up.
const OPEN: usize = 64;

/// Stretches of enqueued work, marked in the stream and never waited for until the total is asked for.
pub(crate) struct Spans {
    stream: Arc<CudaStream>,
    first: Option<Arc<CudaEvent>>,
    began: Option<Arc<CudaEvent>>,
    ended: Option<Arc<CudaEvent>>,
    open: std::collections::VecDeque<(Arc<CudaEvent>, Arc<CudaEvent>)>,
    worked_ms: f64,
}

impl Spans {
    pub(crate) fn new(device: &Device) -> Result<Self> {
        Ok(Self {
            stream: device.as_cuda_device()?.cuda_stream(),
            first: None,
            began: None,
            ended: None,
            open: std::collections::VecDeque::new(),
            worked_ms: 0.0,
        })
    }

    /// Marks the beginning of a stretch.
    pub(crate) fn begin(&mut self) -> Result<()> {
        let event = self.mark()?;
        self.first.get_or_insert_with(|| event.clone());
        self.began = Some(event);
        Ok(())
    }

    /// Marks its end.
    pub(crate) fn end(&mut self) -> Result<()> {
        let Some(began) = self.began.take() else {
            return Ok(());
        };
        let ended = self.mark()?;
        self.ended = Some(ended.clone());
        self.open.push_back((began, ended));
        while self.open.len() > OPEN {
            self.add_oldest()?;
        }
        Ok(())
    }

    /// Share of the time between the first mark and the last end that lay within a stretch. Waits for the device.
    pub(crate) fn share(&mut self) -> Result<Option<f64>> {
        while !self.open.is_empty() {
            self.add_oldest()?;
        }
        let (Some(first), Some(ended)) = (&self.first, &self.ended) else {
            return Ok(None);
        };
        let whole = f64::from(first.elapsed_ms(ended).w()?);
        Ok((whole > 0.0).then(|| self.worked_ms / whole))
    }

    fn add_oldest(&mut self) -> Result<()> {
        if let Some((began, ended)) = self.open.pop_front() {
            self.worked_ms += f64::from(began.elapsed_ms(&ended).w()?);
        }
        Ok(())
    }

    fn mark(&self) -> Result<Arc<CudaEvent>> {
        let timed = Some(sys::CUevent_flags::CU_EVENT_DEFAULT);
        Ok(Arc::new(self.stream.record_event(timed).w()?))
    }
}
