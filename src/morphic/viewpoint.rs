//! From where the world is seen: which world point lies at the window's corner, and how large a unit is.
//!
//! Window coordinates are logical pixels, world coordinates units; both grow rightwards and downwards.

/// Smallest and largest zoom.
pub const ZOOMS: std::ops::RangeInclusive<f32> = 0.08..=4.0;
/// Space that `fit` leaves around the cards, in pixels.
const FIT_MARGIN: f32 = 48.0;

/// Where the camera stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewpoint {
    /// World point at the left upper corner of the window.
    pub origin: [f32; 2],
    /// Pixels for each unit.
    pub zoom: f32,
}

/// A rectangle: left, top, right, bottom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// Left upper corner.
    pub min: [f32; 2],
    /// Right lower corner.
    pub max: [f32; 2],
}

impl Bounds {
    /// From a corner and a size.
    pub fn new(corner: [f32; 2], size: [f32; 2]) -> Self {
        Self { min: corner, max: [corner[0] + size[0], corner[1] + size[1]] }
    }

    /// The smallest rectangle around both.
    pub fn union(self, other: Self) -> Self {
        let (a, b) = (self, other);
        Self {
            min: [a.min[0].min(b.min[0]), a.min[1].min(b.min[1])],
            max: [a.max[0].max(b.max[0]), a.max[1].max(b.max[1])],
        }
    }

    /// Width and height.
    pub fn size(self) -> [f32; 2] {
        [self.max[0] - self.min[0], self.max[1] - self.min[1]]
    }

    /// The middle.
    pub fn center(self) -> [f32; 2] {
        [(self.min[0] + self.max[0]) / 2.0, (self.min[1] + self.max[1]) / 2.0]
    }

    /// Whether the point lies inside.
    pub fn contains(self, point: [f32; 2]) -> bool {
        (0..2).all(|axis| (self.min[axis]..self.max[axis]).contains(&point[axis]))
    }
}

impl Default for Viewpoint {
    fn default() -> Self {
        Self { origin: [0.0, 0.0], zoom: 1.0 }
    }
}

impl Viewpoint {
    /// The world point at a window point.
    pub fn to_world(&self, point: [f32; 2]) -> [f32; 2] {
        [0, 1].map(|axis| self.origin[axis] + point[axis] / self.zoom)
    }

    /// Moves the world by so many pixels.
    pub fn pan(&mut self, pixels: [f32; 2]) {
        self.origin = [0, 1].map(|axis: usize| self.origin[axis] - pixels[axis] / self.zoom);
    }

    /// Zooms by a factor, keeping the world point at the window point `at` where it is.
    pub fn zoom_at(&mut self, at: [f32; 2], factor: f32) {
        let fixed = self.to_world(at);
        let mut zoom = (self.zoom * factor).clamp(*ZOOMS.start(), *ZOOMS.end());
        // Texts are sharpest at full size: it is easy to come back to.
        if (zoom - 1.0).abs() < 0.04 {
            zoom = 1.0;
        }
        self.zoom = zoom;
        for axis in 0..2 {
            self.origin[axis] = fixed[axis] - at[axis] / zoom;
        }
    }

    /// Shows all of `world` in the part of the window that `hole` is, never larger than full size.
    pub fn fit(&mut self, world: Bounds, hole: Bounds) {
        let (world_size, hole_size) = (world.size(), hole.size());
        let ratio = |axis: usize| (hole_size[axis] - 2.0 * FIT_MARGIN).max(1.0) / world_size[axis].max(1.0);
        self.zoom = ratio(0).min(ratio(1)).min(1.0).max(*ZOOMS.start());
        let (middle, at) = (world.center(), hole.center());
        self.origin = [0, 1].map(|axis| middle[axis] - at[axis] / self.zoom);
    }

    /// The origin that is drawn from: on whole pixels, so that texts are sharp.
    pub fn drawn_origin(&self) -> [f32; 2] {
        self.origin.map(|part| (part * self.zoom).round() / self.zoom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zooming_keeps_the_point_under_the_cursor() {
        let mut view = Viewpoint { origin: [-30.0, 12.0], zoom: 0.7 };
        let before = view.to_world([200.0, 100.0]);
        for factor in [1.3, 0.2, 40.0, 1e-9] {
            view.zoom_at([200.0, 100.0], factor);
            let after = view.to_world([200.0, 100.0]);
            assert!((0..2).all(|axis| (before[axis] - after[axis]).abs() < 1e-2), "{before:?} {after:?}");
            assert!(ZOOMS.contains(&view.zoom));
        }
    }

    #[test]
    fn fitting_shows_everything_in_the_hole() {
        let hole = Bounds::new([220.0, 0.0], [700.0, 500.0]);
        for world in [
            Bounds::new([-500.0, 40.0], [3000.0, 100.0]),
            Bounds::new([0.0, 0.0], [184.0, 96.0]),
            Bounds::new([5.0, 5.0], [0.0, 0.0]),
        ] {
            let mut view = Viewpoint::default();
            view.fit(world, hole);
            let shown = Bounds { min: view.to_world(hole.min), max: view.to_world(hole.max) };
            assert_eq!(shown.union(world), shown);
            assert!(view.zoom <= 1.0);
        }
    }

    #[test]
    fn panning_moves_by_pixels() {
        let mut view = Viewpoint { origin: [0.0, 0.0], zoom: 2.0 };
        view.pan([10.0, -4.0]);
        assert_eq!(view.origin, [-5.0, 2.0]);
    }
}
