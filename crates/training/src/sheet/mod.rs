//! Contact sheets: labelled image grids, heat-map colours and overlays, as pictures in memory.
