//! How much of the time a device is at work.

use std::time::{Duration, Instant};

use candle_core::{Device, Result};

/// Measures the share of time in which a device had work: the rest it waited, for batches above all.
///
/// Mark every stretch of work, a training step say, with [`begin`](Self::begin) and [`end`](Self::end). On the
/// processor a stretch lasts from one call to the other. On a CUDA device both calls only leave a mark in the stream,
/// and the device's clock tells when it came by; gaps between two kernels of a stretch count as work.
pub struct BusyClock(Kind);

enum Kind {
    Processor(Stretches),
    #[cfg(feature = "cuda")]
    Cuda(crate::cuda::Spans),
}

#[derive(Default)]
struct Stretches {
    first: Option<Instant>,
    began: Option<Instant>,
    ended: Option<Instant>,
    worked: Duration,
}

impl BusyClock {
    /// A clock for what is computed on `device`.
    ///
    /// # Errors
    /// The device's driver fails.
    pub fn new(device: &Device) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if device.is_cuda() {
            return crate::cuda::Spans::new(device).map(|spans| Self(Kind::Cuda(spans)));
        }
        let _ = device;
        Ok(Self(Kind::Processor(Stretches::default())))
    }

    /// Marks the beginning of a stretch of work.
    ///
    /// # Errors
    /// The device's driver fails.
    pub fn begin(&mut self) -> Result<()> {
        match &mut self.0 {
            Kind::Processor(stretches) => {
                let now = Instant::now();
                stretches.first.get_or_insert(now);
                stretches.began = Some(now);
                Ok(())
            }
            #[cfg(feature = "cuda")]
            Kind::Cuda(spans) => spans.begin(),
        }
    }

    /// Marks its end; nothing without a beginning.
    ///
    /// # Errors
    /// The device's driver fails.
    pub fn end(&mut self) -> Result<()> {
        match &mut self.0 {
            Kind::Processor(stretches) => {
                if let Some(began) = stretches.began.take() {
                    let now = Instant::now();
                    stretches.worked += now - began;
                    stretches.ended = Some(now);
                }
                Ok(())
            }
            #[cfg(feature = "cuda")]
            Kind::Cuda(spans) => spans.end(),
        }
    }

    /// Share, from 0 to 1, of the time from the first beginning to the last end that lay within stretches; none before
    /// there was one. Waits for the device.
    ///
    /// # Errors
    /// The device's driver fails.
    pub fn share(&mut self) -> Result<Option<f64>> {
        match &mut self.0 {
            Kind::Processor(stretches) => {
                let (Some(first), Some(ended)) = (stretches.first, stretches.ended) else {
                    return Ok(None);
                };
                let whole = (ended - first).as_secs_f64();
                Ok((whole > 0.0).then(|| stretches.worked.as_secs_f64() / whole))
            }
            #[cfg(feature = "cuda")]
            Kind::Cuda(spans) => spans.share(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;

    #[test]
    fn waiting_between_stretches_lowers_the_share() {
        let mut clock = BusyClock::new(&Device::Cpu).unwrap();
        assert_eq!(clock.share().unwrap(), None);
        for pause in [40, 0] {
            clock.begin().unwrap();
            sleep(Duration::from_millis(20));
            clock.end().unwrap();
            sleep(Duration::from_millis(pause));
        }
        // Two stretches of 20 ms or more, a pause of 40 ms or more between them, none behind the last.
        let share = clock.share().unwrap().unwrap();
        assert!(share > 0.05 && share < 0.95, "{share}");
        clock.end().unwrap();
        assert_eq!(
            clock.share().unwrap().unwrap(),
            share,
            "an end without a beginning changes nothing"
        );
    }
}
