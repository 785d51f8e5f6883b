//! What the emulated GPU must see: that kernels compute, and that none gets away with what a real GPU may forgive.

use crate::gpu::{Gpu, ILLEGAL_ADDRESS, SUCCESS, Source, Work};
use crate::launch::Launch;

/// A kernel of these statements with parameters `p0`, `p1` (addresses) and `n`.
fn module(statements: &str) -> String {
    format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 p0, .param .u64 p1, .param .u32 n)\n{{\n\
         .reg .pred %p<9>; .reg .b32 %r<30>; .reg .f32 %f<9>; .reg .b64 %rd<19>;\n\
         .shared .align 4 .b8 held[256];\n\
         ld.param.u64 %rd1, [p0]; ld.param.u64 %rd2, [p1]; ld.param.u32 %r9, [n];\n\
         mov.u32 %r1, %tid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %ctaid.x;\n\
         mad.lo.s32 %r4, %r3, %r2, %r1; mul.wide.u32 %rd5, %r4, 4;\n\
         add.s64 %rd3, %rd1, %rd5; add.s64 %rd4, %rd2, %rd5;\n\
         {statements}\nret;\n}}\n"
    )
}

/// A device with an array of numbers and one of as many fresh ones.
struct Bench {
    gpu: Gpu,
    from: u64,
    to: u64,
    count: usize,
}

impl Bench {
    fn new(values: &[f32]) -> Self {
        let mut gpu = Gpu::new(1 << 20, false);
        let bytes = 4 * values.len();
        let [from, to] = [(); 2].map(|()| gpu.take(bytes).expect("room"));
        let mut bench = Self {
            gpu,
            from,
            to,
            count: values.len(),
        };
        let copied = Source::Copied(values.iter().flat_map(|value| value.to_ne_bytes()).collect());
        bench.gpu.enqueue(Work::Upload {
            from: copied,
            to: from,
            bytes,
        });
        bench
    }

    /// Launches the statements with blocks of so many threads, one a number.
    fn launch(&mut self, statements: &str, threads: u32) -> u32 {
        self.launch_with(statements, threads, self.from, self.count as u32)
    }

    fn launch_with(&mut self, statements: &str, threads: u32, from: u64, n: u32) -> u32 {
        let module = self.gpu.load(&module(statements)).expect("a module");
        let function = self.gpu.function(module, "k").expect("compiled").expect("there");
        let mut parameters = [from, self.to].map(u64::to_ne_bytes).concat();
        parameters.extend(n.to_ne_bytes());
        let launch = Launch {
            blocks: [(self.count as u32).div_ceil(threads), 1, 1],
            threads: [threads, 1, 1],
            shared: 0,
            parameters,
            backwards: false,
        };
        self.gpu.launched(function, launch)
    }

    fn result(&mut self) -> Result<Vec<f32>, u32> {
        let mut bytes = vec![0u8; 4 * self.count];
        self.gpu.enqueue(Work::Download {
            from: self.to,
            to: bytes.as_mut_ptr() as usize,
            bytes: bytes.len(),
        });
        match self.gpu.finish() {
            SUCCESS => Ok(bytes
                .chunks_exact(4)
                .map(|bytes| f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                .collect()),
            failed => Err(failed),
        }
    }
}

const COPY: &str = "ld.global.f32 %f1, [%rd3]; st.global.f32 [%rd4], %f1;";
/// Sums of neighbours, through shared memory.
const NEIGHBOURS: [&str; 2] = [
    "mov.u32 %r10, held; shl.b32 %r11, %r1, 2; add.s32 %r12, %r10, %r11; ld.global.f32 %f1, [%rd3]; st.shared.f32 [%r12], %f1;",
    "add.s32 %r13, %r1, 1; setp.lt.u32 %p1, %r13, %r2; mov.f32 %f2, 0f00000000; @%p1 ld.shared.f32 %f2, [%r12+4]; \
     add.f32 %f3, %f1, %f2; st.global.f32 [%rd4], %f3;",
];

#[test]
fn every_thread_computes_its_number() {
    let values: Vec<f32> = (0..96).map(|i| i as f32 / 3.0).collect();
    let mut bench = Bench::new(&values);
    let statements = "ld.global.f32 %f1, [%rd3]; fma.rn.f32 %f2, %f1, 0f40000000, 0fBF800000; \
                      setp.gt.f32 %p1, %f2, 0f41A00000; @!%p1 bra $L_1; neg.f32 %f2, %f2;\n$L_1:\nst.global.f32 [%rd4], %f2;";
    assert_eq!(bench.launch(statements, 32), SUCCESS);
    let expected: Vec<f32> = values
        .iter()
        .map(|value| value.mul_add(2.0, -1.0))
        .map(|value| if value > 20.0 { -value } else { value })
        .collect();
    assert_eq!(bench.result().unwrap(), expected);
}

#[test]
fn threads_wait_for_each_other_at_a_barrier_alone() {
    let values: Vec<f32> = (0..64).map(|i| i as f32).collect();
    let expected: Vec<f32> = (0..64)
        .map(|i| if i == 63 { 63.0 } else { 2.0 * i as f32 + 1.0 })
        .collect();
    for backwards in [false, true] {
        let run = |between: &str| {
            let mut bench = Bench::new(&values);
            bench.gpu.backwards = backwards;
            bench.launch(&NEIGHBOURS.join(between), 64);
            bench.result().unwrap()
        };
        assert_eq!(run(" bar.sync 0; "), expected);
        // Without one, the first thread comes too early; from the last to the first all seems well.
        assert_eq!(run(" ") == expected, backwards);
    }
}

#[test]
fn numbers_are_exchanged_within_a_warp() {
    let values: Vec<f32> = (0..64).map(|i| i as f32).collect();
    let mut bench = Bench::new(&values);
    // Twice, so that a number could be overwritten before it is read.
    let statements = "ld.global.f32 %f1, [%rd3]; mov.b32 %r10, %f1; shfl.sync.bfly.b32 %r11|%p1, %r10, 1, 31, -1; \
                      shfl.sync.bfly.b32 %r12, %r11, 2, 31, -1; mov.b32 %f2, %r12; st.global.f32 [%rd4], %f2;";
    bench.launch(statements, 64);
    let expected: Vec<f32> = (0..64).map(|i| (i ^ 3) as f32).collect();
    assert_eq!(bench.result().unwrap(), expected);
}

#[test]
fn memory_cannot_be_left() {
    let wrong = [
        (
            "ld.global.f32 %f1, [%rd3+4]; st.global.f32 [%rd4], %f1;",
            "behind the end",
        ),
        (
            "ld.global.f32 %f1, [%rd3-4]; st.global.f32 [%rd4], %f1;",
            "in front of it",
        ),
        (
            "ld.global.v2.f32 {%f1, %f2}, [%rd3]; st.global.f32 [%rd4], %f1;",
            "not aligned",
        ),
        (
            "mov.u32 %r10, 256; ld.shared.f32 %f1, [%r10]; st.global.f32 [%rd4], %f1;",
            "behind shared memory",
        ),
        (
            "mov.u32 %r10, held; ld.shared.f32 %f1, [%r10-4]; st.global.f32 [%rd4], %f1;",
            "in front of shared memory",
        ),
        (
            "mov.u64 %rd7, -4; ld.global.f32 %f1, [%rd7]; st.global.f32 [%rd4], %f1;",
            "the last address there is",
        ),
        (
            "shfl.sync.bfly.b32 %r10, %r1, 16, 31, -1;",
            "a number of a thread that is not there",
        ),
        (
            "setp.lt.u32 %p1, %r1, 4; @%p1 ret; shfl.sync.bfly.b32 %r10, %r1, 4, 31, -1;",
            "a number of a thread that has ended",
        ),
        (
            "$L_1:\nld.global.f32 %f1, [%rd3+64]; setp.neu.f32 %p1, %f1, 0f3F800000; @%p1 bra $L_1;",
            "a loop that would not end",
        ),
        (
            "setp.lt.u32 %p1, %r1, 2; @%p1 ret; bar.sync 0;",
            "a barrier that not all reach",
        ),
    ];
    for (statements, what) in wrong {
        let mut bench = Bench::new(&[1.0; 8]);
        bench.launch(&statements.replace("-4]", "+-4]"), 8);
        assert_eq!(bench.result(), Err(ILLEGAL_ADDRESS), "{what}");
        assert_eq!(
            bench.launch(COPY, 8),
            ILLEGAL_ADDRESS,
            "{what}: nothing works after it"
        );
    }
    let mut bench = Bench::new(&[1.0; 8]);
    bench.launch(COPY, 8);
    assert_eq!(bench.result().unwrap(), [1.0; 8]);
}

#[test]
fn the_machines_memory_is_not_the_devices() {
    let mut bench = Bench::new(&[1.0; 8]);
    let here = [2f32; 8];
    bench.launch_with(COPY, 8, here.as_ptr() as u64, 8);
    assert_eq!(bench.result(), Err(ILLEGAL_ADDRESS));
}

#[test]
fn freed_memory_is_gone_and_fresh_memory_is_no_number() {
    let mut bench = Bench::new(&[1.0; 8]);
    assert!(bench.result().unwrap().iter().all(|value| value.is_nan()));
    let early = bench.launch(COPY, 8);
    bench.gpu.give(bench.from);
    assert_eq!(early, SUCCESS);
    assert_eq!(bench.result().unwrap(), [1.0; 8], "freed behind the launch");
    bench.launch(COPY, 8);
    assert_eq!(bench.result(), Err(ILLEGAL_ADDRESS));
}

#[test]
fn nothing_happens_before_somebody_waits() {
    let mut bench = Bench::new(&[0.0; 2]);
    let mut pinned = [1f32, 2.0];
    bench.gpu.enqueue(Work::Upload {
        from: Source::Pinned(pinned.as_ptr() as usize),
        to: bench.from,
        bytes: 8,
    });
    bench.launch(COPY, 2);
    // Too early: the copy is still to come.
    std::hint::black_box(&mut pinned)[1] = 5.0;
    assert_eq!(bench.gpu.record(7), SUCCESS);
    assert_eq!(bench.gpu.between(7, 7), None, "not reached yet");
    assert_eq!(bench.result().unwrap(), [1.0, 5.0]);
    assert_eq!(bench.gpu.between(7, 7), Some(0.0));
}

#[test]
fn a_full_device_has_no_more_memory_until_some_is_freed() {
    let mut gpu = Gpu::new(1000, false);
    let first = gpu.take(600).unwrap();
    assert_eq!(gpu.take(600), None);
    gpu.give(first);
    assert!(gpu.take(600).is_some());
    assert_eq!((gpu.used, gpu.peak), (600, 600));
}

#[test]
fn what_is_not_known_is_named() {
    let mut gpu = Gpu::new(1000, false);
    let loaded = gpu.load(&module("wgmma.fence.sync.aligned;")).unwrap();
    let fault = gpu.function(loaded, "k").unwrap_err();
    assert!(fault.contains("wgmma.fence.sync.aligned"), "{fault}");
    assert!(gpu.function(loaded, "other").unwrap().is_none());
}

#[test]
fn instructions_give_what_ptx_says() {
    // Each result in %r20 or %f8, of %f1 = 2.5, %f2 = -1, %f3 = NaN, %r10 = 7, %r11 = -3.
    let of_bits: [(&str, u32); 22] = [
        ("shl.b32 %r20, %r10, 31;", 0x8000_0000),
        ("shl.b32 %r20, %r10, 32;", 0),
        ("shr.s32 %r20, %r11, 40;", u32::MAX),
        ("shr.u32 %r20, %r11, 28;", 15),
        ("mul.hi.u32 %r20, %r11, %r11;", 4_294_967_290),
        ("mul.hi.s32 %r20, %r11, %r10;", u32::MAX),
        ("mad.lo.s32 %r20, %r10, %r11, %r10;", (-14i32) as u32),
        ("div.s32 %r20, %r11, %r10;", 0),
        (
            "mov.u32 %r12, -2147483648; mov.u32 %r13, -1; div.s32 %r20, %r12, %r13;",
            1 << 31,
        ),
        ("rem.s32 %r20, %r11, 2;", u32::MAX),
        ("min.s32 %r20, %r10, %r11;", (-3i32) as u32),
        ("min.u32 %r20, %r10, %r11;", 7),
        ("not.b32 %r20, %r10;", !7),
        ("cvt.rzi.s32.f32 %r20, %f1;", 2),
        ("cvt.rni.s32.f32 %r20, %f1;", 2),
        ("cvt.rzi.s32.f32 %r20, %f3;", 0),
        ("cvt.rzi.u32.f32 %r20, %f2;", 0),
        ("setp.neu.f32 %p1, %f3, %f3; selp.b32 %r20, 1, 0, %p1;", 1),
        ("setp.lt.f32 %p1, %f3, %f1; selp.b32 %r20, 1, 0, %p1;", 0),
        ("setp.ltu.f32 %p1, %f3, %f1; selp.b32 %r20, 1, 0, %p1;", 1),
        ("setp.ne.f32 %p1, %f3, %f1; selp.b32 %r20, 1, 0, %p1;", 0),
        // Two bfloat16 numbers in a word: (1, 2) + (1, -1).
        (
            "mov.b32 %r12, 0x40003f80; mov.b32 %r13, 0xbf803f80; add.bf16x2 %r20, %r12, %r13;",
            0x3f80_4000,
        ),
    ];
    let of_numbers: [(&str, f32); 8] = [
        ("fma.rn.f32 %f8, %f1, %f1, %f2;", 5.25),
        ("max.f32 %f8, %f3, %f1;", 2.5),
        ("add.sat.f32 %f8, %f1, %f1;", 1.0),
        ("abs.f32 %f8, %f2;", 1.0),
        ("cvt.rn.f32.s32 %f8, %r11;", -3.0),
        ("cvt.rni.f32.f32 %f8, %f1;", 2.0),
        ("ex2.approx.ftz.f32 %f8, %f2;", 0.5),
        ("rcp.rn.f32 %f8, %f1;", 0.4),
    ];
    let before = "mov.f32 %f1, 0f40200000; mov.f32 %f2, 0fBF800000; mov.f32 %f3, 0f7FC00000; mov.u32 %r10, 7; mov.u32 %r11, -3;";
    let run = |statements: &str| {
        let mut bench = Bench::new(&[0.0]);
        bench.launch(&format!("{before} {statements}"), 1);
        bench.result().unwrap()[0]
    };
    for (statement, expected) in of_bits {
        let found = run(&format!("{statement} st.global.u32 [%rd4], %r20;")).to_bits();
        assert_eq!(found, expected, "{statement}");
    }
    for (statement, expected) in of_numbers {
        assert_eq!(
            run(&format!("{statement} st.global.f32 [%rd4], %f8;")),
            expected,
            "{statement}"
        );
    }
}

#[test]
fn what_would_be_computed_otherwise_is_refused() {
    let refused = [
        "add.rz.f32 %f1, %f1, %f1;",
        "mad.hi.u32 %r10, %r10, %r10, %r10;",
        "cvt.rz.f32.f64 %f1, 0d0000000000000000;",
        "cvt.sat.u32.s32 %r10, %r11;",
        "add.f16 %r10, %r10, %r10;",
        "bar.sync 1;",
        "bar.warp.sync -1;",
        "bar.red.popc.u32 %r10, 0, %p1;",
    ];
    for statement in refused {
        let mut gpu = Gpu::new(1000, false);
        let loaded = gpu.load(&module(statement)).unwrap();
        assert!(gpu.function(loaded, "k").is_err(), "{statement}");
    }
}

#[test]
fn an_assertion_that_fails_ends_the_kernel() {
    let call = "setp.gt.u32 %p1, %r1, 3; @!%p1 bra $L_1; { .param .b64 param0; st.param.b64 [param0+0], %rd1; \
                call.uni __assertfail, (param0); }\n$L_1:\n";
    for (count, expected) in [(4, true), (8, false)] {
        let mut bench = Bench::new(&vec![1.0; count]);
        bench.launch(&format!("{call}{COPY}"), count as u32);
        assert_eq!(bench.result().is_ok(), expected, "{count} threads");
    }
}
