//! `sweep kubernetes`: an Indexed Job, one index a cell, and a Job that writes the tables. JSON, which `kubectl` takes as it does YAML.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use flawforge::files;
use serde_json::{Value, json};

use super::OutArgs;
use super::manifest::{Sweep, folder};
use crate::stopping::TRY_AGAIN;

/// Options of `sweep kubernetes`.
#[derive(Args, Debug, Clone)]
pub struct KubernetesArgs {
    /// Which sweep.
    #[command(flatten)]
    pub sweep: OutArgs,
    /// The container image, such as the Dockerfile of the repository builds
    #[arg(long, value_name = "IMAGE")]
    pub image: String,
    /// The persistent volume claim that holds the sweep's folder, and the images; all pods write to it (ReadWriteMany)
    #[arg(long, value_name = "NAME")]
    pub claim: String,
    /// Where the claim is mounted in the pods
    #[arg(long, value_name = "DIR", default_value = "/sweeps")]
    pub mount: String,
    /// The sweep's folder as the pods see it [default: that of --out, which must lie below --mount]
    #[arg(long, value_name = "DIR")]
    pub pod_out: Option<String>,
    /// Name of the jobs
    #[arg(long, value_name = "NAME", default_value = "flawforge")]
    pub name: String,
    /// Cells that run at the same time, at most
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub parallelism: u32,
    /// How often a cell that fails is tried again
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub tries: u32,
    /// Processors of a cell, as Kubernetes takes them
    #[arg(long, value_name = "N")]
    pub cpus: Option<String>,
    /// Memory of a cell, as Kubernetes takes it
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// GPUs of a cell (nvidia.com/gpu)
    #[arg(long, value_name = "N")]
    pub gpus: Option<u32>,
}

/// Seconds between the request to end and the end (proposal): long enough for a step and a checkpoint.
const GRACE: u32 = 120;

/// Runs the command.
///
/// # Errors
/// A plan that is missing; names that Kubernetes does not take; a folder that the pods would not see.
pub fn run(args: &KubernetesArgs) -> Result<()> {
    let sweep = Sweep::read(&args.sweep)?;
    let pod_out = match &args.pod_out {
        Some(pod_out) => pod_out.clone(),
        None => sweep.out.display().to_string(),
    };
    let below = PathBuf::from(&pod_out).starts_with(&args.mount);
    if !args.mount.starts_with('/') || !below {
        bail!(
            "{pod_out}: does not lie below {}, where the pods see the claim: say --pod-out",
            args.mount
        );
    }
    let named = |name: &str| {
        let plain = name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        // Names of pods add an index and five letters, of 63 in all.
        match plain && (1..=40).contains(&name.len()) && !name.starts_with('-') && !name.ends_with('-') {
            true => Ok(()),
            false => {
                bail!("--name: {name:?} is no name for Kubernetes (small letters, digits, -, at most 40)")
            }
        }
    };
    named(&args.name)?;
    let folder = folder(&sweep.out);
    for (name, job) in [
        ("kubernetes-cells.json", cells(args, &sweep, &pod_out)),
        ("kubernetes-tables.json", tables(args, &sweep, &pod_out)),
    ] {
        let path = folder.join(name);
        files::write(&path, (serde_json::to_string_pretty(&job)? + "\n").as_bytes())?;
        eprintln!("written: {}", path.display());
    }
    let (name, folder) = (&args.name, folder.display());
    eprintln!(
        "kubectl apply -f {folder}/kubernetes-cells.json\n\
         kubectl wait --for=condition=Complete --timeout=-1s job/{name}-cells\n\
         kubectl apply -f {folder}/kubernetes-tables.json"
    );
    Ok(())
}

/// The Indexed Job: a pod for each index that is not done.
fn cells(args: &KubernetesArgs, sweep: &Sweep, pod_out: &str) -> Value {
    let mut job = job(args, sweep, pod_out, "cells");
    let spec = &mut job["spec"];
    spec["completionMode"] = json!("Indexed");
    spec["completions"] = json!(sweep.lines.len());
    spec["parallelism"] = json!(args.parallelism);
    spec["backoffLimitPerIndex"] = json!(args.tries);
    // One cell that fails is no reason to end the others.
    spec["maxFailedIndexes"] = json!(sweep.lines.len());
    // Evicted and preempted pods, and cells that ended in order with a checkpoint, are not failures: they are started again.
    spec["podFailurePolicy"] = json!({"rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "Ignore", "onExitCodes": {"containerName": "flawforge", "operator": "In", "values": [TRY_AGAIN]}},
    ]});
    job
}

fn tables(args: &KubernetesArgs, sweep: &Sweep, pod_out: &str) -> Value {
    let mut job = job(args, sweep, pod_out, "tables");
    job["spec"]["backoffLimit"] = json!(0);
    job
}

/// What both jobs say; `what` is in their names.
fn job(args: &KubernetesArgs, sweep: &Sweep, pod_out: &str, what: &str) -> Value {
    let command = match what {
        "cells" => "cell", // Its index is JOB_COMPLETION_INDEX.
        other => other,
    };
    let mut resources = json!({"requests": {}, "limits": {}});
    let wanted = [
        ("cpu", args.cpus.clone()),
        ("memory", args.memory.clone()),
        ("nvidia.com/gpu", args.gpus.map(|count| count.to_string())),
    ];
    for (name, value) in wanted {
        let Some(value) = value.filter(|_| command == "cell") else {
            continue;
        };
        resources["requests"][name] = json!(value);
        if name != "cpu" {
            resources["limits"][name] = json!(value);
        }
    }
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": format!("{}-{what}", args.name),
            "labels": {"app.kubernetes.io/name": "flawforge", "flawforge/plan": sweep.number()},
        },
        "spec": {
            "template": {
                "metadata": {"labels": {"app.kubernetes.io/name": "flawforge", "flawforge/plan": sweep.number()}},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": GRACE,
                    "containers": [{
                        "name": "flawforge",
                        "image": args.image,
                        "command": ["xtask"],
                        "args": ["sweep", command, "--out", pod_out, "--plan", sweep.number()],
                        "workingDir": args.mount,
                        "resources": resources,
                        "volumeMounts": [{"name": "sweeps", "mountPath": args.mount}],
                    }],
                    "volumes": [{"name": "sweeps", "persistentVolumeClaim": {"claimName": args.claim}}],
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::manifest::tests::sweep;
    use super::*;
    use clap::Parser;
    use std::fs;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: KubernetesArgs,
    }

    fn args(out: &str, more: &[&str]) -> KubernetesArgs {
        let always = [
            "test",
            "--out",
            out,
            "--image",
            "registry/flawforge:1",
            "--claim",
            "sweeps",
        ];
        CommandLine::parse_from([&always[..], more].concat()).args
    }

    #[test]
    fn a_pod_for_each_cell_that_may_be_disrupted() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().to_str().unwrap();
        let mut planned = sweep(dir.path(), 12);
        planned.write().unwrap();
        let more = [
            "--pod-out",
            "/sweeps/first",
            "--parallelism",
            "3",
            "--gpus",
            "1",
            "--memory",
            "4Gi",
        ];
        run(&args(out, &more)).unwrap();
        let read = |name: &str| -> Value {
            serde_json::from_str(&fs::read_to_string(dir.path().join("sweep").join(name)).unwrap()).unwrap()
        };
        let job = read("kubernetes-cells.json");
        assert_eq!(
            (&job["apiVersion"], &job["kind"]),
            (&json!("batch/v1"), &json!("Job"))
        );
        let spec = &job["spec"];
        for (field, value) in [
            ("completionMode", json!("Indexed")),
            ("completions", json!(12)),
            ("parallelism", json!(3)),
            ("backoffLimitPerIndex", json!(1)),
            ("maxFailedIndexes", json!(12)),
        ] {
            assert_eq!(spec[field], value, "{field}");
        }
        let rules = spec["podFailurePolicy"]["rules"].as_array().unwrap();
        assert!(rules.iter().all(|rule| rule["action"] == "Ignore"));
        assert_eq!(rules[0]["onPodConditions"][0]["type"], "DisruptionTarget");
        assert_eq!(rules[1]["onExitCodes"]["values"], json!([75]));
        let pod = &spec["template"]["spec"];
        // Rules for failures are for pods that are not restarted in place.
        assert_eq!(pod["restartPolicy"], "Never");
        assert_eq!(pod["terminationGracePeriodSeconds"], 120);
        let container = &pod["containers"][0];
        assert_eq!(container["name"], rules[1]["onExitCodes"]["containerName"]);
        assert_eq!(
            container["args"],
            json!([
                "sweep",
                "cell",
                "--out",
                "/sweeps/first",
                "--plan",
                planned.number()
            ])
        );
        assert_eq!(container["resources"]["limits"]["nvidia.com/gpu"], "1");
        assert_eq!(pod["volumes"][0]["persistentVolumeClaim"]["claimName"], "sweeps");
        let tables = read("kubernetes-tables.json");
        assert_eq!(
            tables["spec"]["template"]["spec"]["containers"][0]["args"][1],
            "tables"
        );
        assert_eq!(tables["spec"]["completions"], Value::Null);
        assert_ne!(tables["metadata"]["name"], job["metadata"]["name"]);
    }

    #[test]
    fn what_the_pods_would_not_see_or_take_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().to_str().unwrap();
        sweep(dir.path(), 1).write().unwrap();
        let unseen = run(&args(out, &[])).unwrap_err().to_string();
        assert!(unseen.contains("say --pod-out"), "{unseen}");
        let named = run(&args(out, &["--pod-out", "/sweeps/a", "--name", "My Job"]));
        assert!(named.unwrap_err().to_string().contains("My Job"));
    }
}
