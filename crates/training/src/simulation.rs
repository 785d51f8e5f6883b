//! From settings to the simulation that they describe.

use std::sync::Arc;

use flawforge_augment::{Fill, RotateNormals, Selection, Simulation, TextureSource};

use crate::config::{Config, RotateWhen, RotationFill, Simulator};

/// The simulation of a run on a category with this selection.
pub fn simulation(config: &Config, textures: Arc<dyn TextureSource>, selection: &Selection) -> Simulation {
    let mut simulation = match config.simulation.simulator {
        Simulator::Draem => Simulation::draem(textures),
        Simulator::Selected => Simulation::selected(selection, textures),
    };
    simulation.p_clean = config.simulation.clean_probability as f32;
    let rotates = match config.rotation.when {
        RotateWhen::Always => true,
        RotateWhen::Selected => selection.rotate_normals,
        RotateWhen::Never => false,
    };
    simulation.rotation = rotates.then_some(RotateNormals {
        probability: config.rotation.probability as f32,
        max_degrees: config.rotation.max_degrees as f32,
        fill: match config.rotation.fill {
            RotationFill::Black => Fill::Black,
            RotationFill::Edge => Fill::Edge,
            RotationFill::Reflect => Fill::Reflect,
            RotationFill::Selected => selection.fill,
        },
    });
    simulation
}
