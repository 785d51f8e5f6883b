//! A loop over samples takes no memory once it runs: counted by the allocator itself.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flawforge_augment::{
    AnomalySimulator, Background, Constants, CutOut, CutPaste, ForeignPatch, Kind, LabelKind, MaskGenerator,
    Materials, Nsa, NsaSample, NsaSettings, OneOf, Opaque, Perlin, ProceduralTextures, Rectangle, Sample,
    Scar, Selection, Selections, Simulated, Simulation, SimulationSettings, Stream, TextureBank,
    TextureSource, Transparent,
};
use image::{Rgb, RgbImage};

struct Counting;

static EVERYWHERE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static HERE: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    EVERYWHERE.fetch_add(1, Ordering::Relaxed);
    let _ = HERE.try_with(|here| here.set(here.get() + 1));
}

// SAFETY: every request is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn surface(shift: u32) -> RgbImage {
    RgbImage::from_fn(96, 80, |x, y| {
        let stripe = if ((x + shift) / 7 + y / 9).is_multiple_of(2) {
            60
        } else {
            150
        };
        let ground = x < 20;
        Rgb(if ground {
            [205; 3]
        } else {
            [stripe, stripe + (x % 40) as u8, 90 + (y % 60) as u8]
        })
    })
}

/// Allocations of this thread in a third pass over the same streams, when everything has been seen.
fn third_pass(name: &str, mut one: impl FnMut(Stream)) {
    let mut taken = 0;
    for _ in 0..3 {
        let before = HERE.get();
        for index in 0..120 {
            one(Stream {
                seed: 5,
                step: 0,
                index,
            });
        }
        taken = HERE.get() - before;
    }
    assert_eq!(taken, 0, "{name} takes memory");
}

#[test]
fn a_running_loop_takes_no_memory() {
    let before = HERE.get();
    drop(std::hint::black_box(Box::new(7)));
    assert_eq!(HERE.get() - before, 1, "allocations are counted");

    let normal = surface(0);
    let bank: Arc<dyn TextureSource> =
        Arc::new(TextureBank::new(vec![surface(3), RgbImage::new(50, 70), surface(5)]).unwrap());
    let background = Some(Background::new(205.0, 20.0));

    let masks: [(&str, &dyn MaskGenerator); 3] = [
        ("perlin", &Perlin::default()),
        ("rectangle", &Rectangle::default()),
        ("scar", &Scar::default()),
    ];
    for (name, generator) in masks {
        let mut mask = Default::default();
        third_pass(name, |stream| {
            generator.generate_into(96, 80, &mut mask, &mut stream.rng(""))
        });
    }

    let mut on_object = Transparent::new(bank.clone());
    on_object.overlay.background = background;
    let nsa = |category: &str| Nsa {
        sources: Some(bank.clone()),
        ..Nsa::new(NsaSettings::builtin()[category])
    };
    let simulators: Vec<(&str, Arc<dyn AnomalySimulator>)> = vec![
        ("transparent", Arc::new(Transparent::new(bank.clone()))),
        ("transparent on the object", Arc::new(on_object)),
        (
            "opaque, procedural",
            Arc::new(Opaque::new(Arc::new(ProceduralTextures::new(1, 3)))),
        ),
        (
            "near-distribution",
            Arc::new(flawforge_augment::NearDistribution {
                background,
                ..Default::default()
            }),
        ),
        ("cut-paste", Arc::new(CutPaste::default())),
        (
            "cut-out",
            Arc::new(CutOut {
                background,
                ..CutOut::default()
            }),
        ),
        ("foreign patch", Arc::new(ForeignPatch::new(bank.clone()))),
        ("nsa, texture", Arc::new(nsa("tile"))),
        ("nsa, object", Arc::new(nsa("bottle"))),
    ];
    let materials = Materials {
        textures: bank.clone(),
        normals: Some(bank.clone()),
    };
    let mut made = Simulated::default();
    for kind in Kind::ALL {
        let simulator = Constants::of(kind).unwrap().simulator(&materials);
        third_pass(kind.name(), |stream| {
            simulator.simulate_into(&normal, &mut made, &mut stream.rng(""));
        });
    }
    for (name, simulator) in &simulators {
        third_pass(name, |stream| {
            simulator.simulate_into(&normal, &mut made, &mut stream.rng(""));
        });
    }
    let choices = simulators
        .iter()
        .map(|(_, simulator)| (simulator.clone(), 1.0))
        .collect();
    let one_of = OneOf::new(choices).unwrap();
    assert_eq!(one_of.kind(), Kind::Other);
    third_pass("one of all", |stream| {
        one_of.simulate_into(&normal, &mut made, &mut stream.rng(""));
    });

    for kind in [LabelKind::Binary, LabelKind::Continuous, LabelKind::Logistic] {
        let (simulator, mut sample) = (
            Nsa {
                label: kind,
                ..nsa("wood")
            },
            NsaSample::default(),
        );
        let source = surface(9);
        third_pass("nsa with labels", |stream| {
            simulator.blend_into(&normal, &source, &mut sample, &mut stream.rng(""));
        });
    }

    let selection = Selections::builtin().get("bottle").cloned().unwrap();
    for (name, simulation) in [
        ("DRAEM's samples", Simulation::draem(bank.clone())),
        ("selected samples", Simulation::selected(&selection, bank.clone())),
        ("samples of every kind, twice", twice(&materials)),
    ] {
        let mut sample = Sample::default();
        third_pass(name, |stream| {
            simulation.sample_into(&normal, stream, &mut sample)
        });
    }
    batches(&normal, &Simulation::selected(&selection, bank));
}

/// Two choices of every kind: the second ones have random streams with a number in their names.
fn twice(materials: &Materials) -> Simulation {
    let all = Kind::ALL
        .into_iter()
        .fold(Selection::default(), |selection, kind| selection.with(kind, true));
    let mut simulation = SimulationSettings::selected(&all).simulation(materials);
    simulation.choices.extend_from_within(..);
    simulation
}

/// Whole batches on two threads. Handing work to the threads takes a block now and then; samples take nothing.
fn batches(normal: &RgbImage, simulation: &Simulation) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let (normals, mut samples) = ([normal; 8], Vec::new());
    let mut pass = || {
        let before = EVERYWHERE.load(Ordering::Relaxed);
        for first in (0..160).step_by(8) {
            let streams: [Stream; 8] = std::array::from_fn(|k| Stream {
                seed: 6,
                step: 0,
                index: first + k as u64,
            });
            pool.install(|| simulation.batch_into(&normals, &streams, &mut samples));
        }
        EVERYWHERE.load(Ordering::Relaxed) - before
    };
    // Which thread gets which sample is chance, so that buffers reach their full sizes late.
    let taken = (0..30).map(|_| pass()).min().unwrap();
    assert!(taken <= 20, "{taken} allocations in 20 batches");
}
