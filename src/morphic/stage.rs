//! The stage: every object as sprites and texts, drawn anew only where its picture differs.
//!
//! World units grow downwards, Bevy's y upwards: a place `(x, y)` is drawn at `(x, -y)`.

use super::measure::Face;
use super::picture::{Act, Emphasis, Look, Mark, Picture};
use super::tokens::{self, Rgb};
use super::{Bounds, Mirror, Seating, Viewpoint, picture_of, size_of};
use crate::object::ObjectId;
use bevy::asset::RenderAssetUsages;
use bevy::prelude::*;
use bevy::render::render_resource::{Extent3d, TextureDimension, TextureFormat};
use bevy::sprite::{Anchor, BorderRect, SliceScaleMode, SpriteImageMode, TextureSlicer};
use std::collections::{BTreeMap, BTreeSet};

/// Depth up to which layers below 0 lie, that of layer 0, and of those above; ±1,000 is all there is.
const DEPTHS: [f32; 3] = [100.0, 500.0, 600.0];
/// From one mark of an object to the next one above it, and to its words.
const MARK_DEPTH: f32 = 0.0002;
const WORDS_DEPTH: f32 = 0.02;
/// Height of a line of text against the size of its font, as Bevy lays it out.
const LINE_HEIGHT: f32 = 1.2;
/// Pixels of a rounded corner in its texture.
const CORNER_PIXELS: u32 = 16;
/// Pixels of half a disc in its texture.
const DISC_PIXELS: u32 = 96;
/// Dots along a side of the ground's tile: each tile is a slice, and thousands of slices are slow.
const TILE_DOTS: u32 = 8;

struct Drawn {
    entity: Entity,
    look: Look,
    picture: Picture,
    place: [f32; 2],
}

/// What is drawn now, and with what.
#[derive(Resource)]
pub struct Stage {
    drawn: BTreeMap<ObjectId, Drawn>,
    seating: Seating,
    fonts: Fonts,
    rounded: Handle<Image>,
    disc: Handle<Image>,
    dot: Handle<Image>,
    ground: Option<(Entity, Option<Bounds>)>,
}

struct Fonts {
    regular: Handle<Font>,
    semi_bold: Handle<Font>,
    mono: Handle<Font>,
}

impl FromWorld for Stage {
    fn from_world(world: &mut World) -> Self {
        let mut images = world.resource_mut::<Assets<Image>>();
        let (rounded, disc, dot) = (images.add(rounded_square()), images.add(disc()), images.add(ground_tile()));
        let mut fonts = world.resource_mut::<Assets<Font>>();
        let mut font = |bytes: &[u8]| fonts.add(Font::from_bytes(bytes.to_vec()));
        let fonts = Fonts {
            regular: font(tokens::INTER),
            semi_bold: font(tokens::INTER_SEMI_BOLD),
            mono: font(tokens::JETBRAINS_MONO),
        };
        Self { drawn: BTreeMap::new(), seating: Seating::default(), fonts, rounded, disc, dot, ground: None }
    }
}

impl Stage {
    /// Bounds of an object as it is drawn; its rotation is not looked at.
    pub fn bounds(&self, id: ObjectId) -> Option<Bounds> {
        self.drawn.get(&id).map(|drawn| Bounds::new(drawn.place, drawn.picture.size))
    }

    /// The object on top at a world point.
    pub fn object_at(&self, point: [f32; 2]) -> Option<ObjectId> {
        let is_hit = |drawn: &Drawn| {
            let own = drawn.picture.to_own(drawn.place, point);
            Bounds::new([0.0, 0.0], drawn.picture.size).contains(own)
        };
        let found = self.drawn.iter().filter(|(_, drawn)| is_hit(drawn));
        found.max_by(|a, b| depth_of(*a.0, a.1).total_cmp(&depth_of(*b.0, b.1))).map(|(id, _)| *id)
    }

    /// A world point in the frame of an object, and what pressing it there means.
    pub fn press_at(&self, id: ObjectId, point: [f32; 2]) -> Option<([f32; 2], &Act)> {
        let drawn = self.drawn.get(&id)?;
        let own = drawn.picture.to_own(drawn.place, point);
        Some((own, drawn.picture.act_at(own)?))
    }

    /// A world point in the frame of an object.
    pub fn to_own(&self, id: ObjectId, point: [f32; 2]) -> Option<[f32; 2]> {
        self.drawn.get(&id).map(|drawn| drawn.picture.to_own(drawn.place, point))
    }

    /// Bounds of everything.
    pub fn all(&self) -> Option<Bounds> {
        self.drawn.keys().filter_map(|id| self.bounds(*id)).reduce(Bounds::union)
    }

    /// How many objects are drawn.
    pub fn len(&self) -> usize {
        self.drawn.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.drawn.is_empty()
    }

    /// Draws what changed. `carried` is shown so far from its place; `look` is asked for each object.
    pub fn draw(
        &mut self,
        commands: &mut Commands,
        mirror: &Mirror,
        touched: &BTreeSet<ObjectId>,
        carried: Option<(ObjectId, [f32; 2])>,
        look: impl Fn(ObjectId) -> Look,
    ) {
        // An inherited slot may show on every heir; a rename on everything that points there.
        let mut stale = mirror.heirs(touched.iter().copied());
        let moved = self.seating.update(mirror, &stale);
        stale.extend(mirror.heirs(moved));
        if let Some((id, _)) = carried {
            stale.insert(id);
        }
        stale.extend(self.drawn.iter().filter(|(id, drawn)| drawn.look != look(**id)).map(|(id, _)| *id));
        let places = self.seating.places(mirror, &stale, &|id| size_of(mirror, id));
        for (id, mut place) in places {
            if let Some((_, by)) = carried.filter(|(carried, _)| *carried == id) {
                place = [place[0] + by[0], place[1] + by[1]];
            }
            self.draw_object(commands, mirror, id, place, look(id));
        }
    }

    /// Draws the dots of the ground around what is seen; below half size they would only be noise.
    pub fn draw_ground(&mut self, commands: &mut Commands, view: &Viewpoint, window: [f32; 2]) {
        let origin = view.drawn_origin();
        let tile = tokens::GRID_UNITS * TILE_DOTS as f32;
        let grid = |from: f32, size: f32| {
            let (first, last) = ((from / tile).floor(), ((from + size / view.zoom) / tile).ceil());
            (first * tile, last * tile)
        };
        let ((left, right), (top, bottom)) = (grid(origin[0], window[0]), grid(origin[1], window[1]));
        let shown = (view.zoom >= 0.5).then_some(Bounds { min: [left, top], max: [right, bottom] });
        if self.ground.as_ref().is_some_and(|(_, drawn)| *drawn == shown) {
            return;
        }
        if let Some((entity, _)) = self.ground.take() {
            commands.entity(entity).despawn();
        }
        let mut ground = commands.spawn_empty();
        if let Some(bounds) = shown {
            let ([width, height], [x, y]) = (bounds.size(), bounds.center());
            let image_mode = SpriteImageMode::Tiled { tile_x: true, tile_y: true, stretch_value: 1.0 };
            let sprite = Sprite {
                image: self.dot.clone(),
                color: color(tokens::GRID_DOT),
                custom_size: Some(Vec2::new(width, height)),
                image_mode,
                ..default()
            };
            ground.insert((sprite, Transform::from_xyz(x, -y, -10.0)));
        }
        self.ground = Some((ground.id(), shown));
    }

    fn draw_object(&mut self, commands: &mut Commands, mirror: &Mirror, id: ObjectId, place: [f32; 2], look: Look) {
        let Some(picture) = picture_of(mirror, id, look) else {
            if let Some(drawn) = self.drawn.remove(&id) {
                commands.entity(drawn.entity).despawn();
            }
            return;
        };
        let before = self.drawn.remove(&id);
        let mut drawn = Drawn { entity: Entity::PLACEHOLDER, look, picture, place };
        let depth = depth_of(id, &drawn);
        let [width, height] = drawn.picture.size;
        let center = Vec3::new(place[0] + width / 2.0, -(place[1] + height / 2.0), depth);
        let turned = Quat::from_rotation_z(-drawn.picture.rotation.to_radians());
        let transform = Transform::from_translation(center).with_rotation(turned);
        drawn.entity = match before {
            // It looks the same: what moves by itself costs no more than its place.
            Some(before) if before.picture.marks == drawn.picture.marks => {
                let stays = before.place == place && before.look == look && before.picture == drawn.picture;
                if !stays {
                    commands.entity(before.entity).insert(transform);
                }
                before.entity
            }
            before => {
                if let Some(before) = before {
                    commands.entity(before.entity).despawn();
                }
                self.spawn(commands, &drawn.picture, transform)
            }
        };
        self.drawn.insert(id, drawn);
    }

    fn spawn(&self, commands: &mut Commands, picture: &Picture, transform: Transform) -> Entity {
        let [left, top] = [-picture.size[0] / 2.0, picture.size[1] / 2.0];
        let place = |bounds: &Bounds, depth: f32| {
            let [x, y] = bounds.center();
            Transform::from_xyz(left + x, top - y, depth)
        };
        commands
            .spawn((transform, Visibility::default()))
            .with_children(|object| {
                for (number, mark) in picture.marks.iter().enumerate() {
                    let depth = number as f32 * MARK_DEPTH;
                    match mark {
                        Mark::Round { bounds, corner, color } => {
                            object.spawn((self.round(*color, bounds.size(), *corner), place(bounds, depth)));
                        }
                        Mark::Oval { bounds, color: of } => {
                            let image = self.disc.clone();
                            let custom_size = Some(Vec2::from(bounds.size()));
                            let sprite = Sprite { image, color: color(*of), custom_size, ..default() };
                            object.spawn((sprite, place(bounds, depth)));
                        }
                        Mark::Words { at, text, face, size, color: of } => {
                            let font = TextFont {
                                font: self.fonts.of(*face).clone().into(),
                                ..TextFont::from_font_size(*size)
                            };
                            // Placed by its upper left corner on whole units: a text that is centred lies between
                            // pixels and blurs.
                            let x = (left + at[0]).round();
                            let y = top - at[1] + (size * LINE_HEIGHT / 2.0).round();
                            let place = Transform::from_xyz(x, y, WORDS_DEPTH);
                            object.spawn((
                                Text2d::new(text.clone()),
                                font,
                                TextColor(color(*of)),
                                Anchor::TOP_LEFT,
                                place,
                            ));
                        }
                    }
                }
            })
            .id()
    }

    fn round(&self, of: Rgb, size: [f32; 2], corner: f32) -> Sprite {
        let (color, custom_size) = (color(of), Some(Vec2::from(size)));
        if corner <= 0.0 {
            return Sprite { color, custom_size, ..default() };
        }
        let slicer = TextureSlicer {
            border: BorderRect::all(CORNER_PIXELS as f32),
            center_scale_mode: SliceScaleMode::Stretch,
            sides_scale_mode: SliceScaleMode::Stretch,
            // The texture is drawn at twice the size of a corner, so that it stays smooth when seen closely.
            max_corner_scale: corner / CORNER_PIXELS as f32,
        };
        let image_mode = SpriteImageMode::Sliced(slicer);
        Sprite { image: self.rounded.clone(), color, custom_size, image_mode, ..default() }
    }
}

impl Fonts {
    fn of(&self, face: Face) -> &Handle<Font> {
        match face {
            Face::Regular => &self.regular,
            Face::SemiBold => &self.semi_bold,
            Face::Mono => &self.mono,
        }
    }
}

/// How far in front an object lies: by its layer, there the chosen one on top, the others in the order of their ids, which
/// are as good as random, whatever comes and goes.
fn depth_of(id: ObjectId, drawn: &Drawn) -> f32 {
    let [below, middle, above] = DEPTHS;
    let layer = drawn.picture.layer;
    let (from, to) = match layer {
        layer if layer < 0.0 => (below * (layer + 100.0) / 100.0, below * (layer + 101.0) / 100.0),
        layer if layer > 0.0 => {
            let step = (above - middle) / 100.0;
            (middle + step * (layer - 1.0), middle + step * layer)
        }
        _ => (below, middle),
    };
    let place = match drawn.look.emphasis {
        Emphasis::Selected => 0.99,
        _ => 0.98 * (id.0.as_u128() >> 104) as f32 / (1_u32 << 24) as f32,
    };
    from + (to - from) * place
}

/// A colour of the tokens for Bevy.
pub fn color(of: Rgb) -> Color {
    Color::srgb_u8(of.0, of.1, of.2)
}

/// Dots of two pixels, as far apart as the ground's grid has units.
fn ground_tile() -> Image {
    let step = tokens::GRID_UNITS as u32;
    let side = step * TILE_DOTS;
    let pixels = (0..side * side).flat_map(|at| {
        let cover = if at % side % step < 2 && at / side % step < 2 { 255 } else { 0 };
        [255, 255, 255, cover]
    });
    let size = Extent3d { width: side, height: side, depth_or_array_layers: 1 };
    let format = TextureFormat::Rgba8UnormSrgb;
    Image::new(size, TextureDimension::D2, pixels.collect(), format, RenderAssetUsages::RENDER_WORLD)
}

/// A white disc, to be tinted.
fn disc() -> Image {
    let side = 2 * DISC_PIXELS;
    let radius = DISC_PIXELS as f32;
    let pixels = (0..side * side).flat_map(|at| {
        let [x, y] = [at % side, at / side].map(|at| at as f32 + 0.5 - radius);
        let cover = (radius - x.hypot(y)).clamp(0.0, 1.0);
        [255, 255, 255, (cover * 255.0) as u8]
    });
    let size = Extent3d { width: side, height: side, depth_or_array_layers: 1 };
    let format = TextureFormat::Rgba8UnormSrgb;
    Image::new(size, TextureDimension::D2, pixels.collect(), format, RenderAssetUsages::RENDER_WORLD)
}

/// A white square with round corners, to be tinted and cut into nine.
fn rounded_square() -> Image {
    let side = 4 * CORNER_PIXELS;
    let radius = CORNER_PIXELS as f32;
    let mut pixels = Vec::with_capacity((side * side * 4) as usize);
    for y in 0..side {
        for x in 0..side {
            let inside = |at: u32| {
                let at = at as f32 + 0.5;
                (radius - at).max(at - (side as f32 - radius)).max(0.0)
            };
            let distance = inside(x).hypot(inside(y));
            let cover = (radius - distance + 0.5).clamp(0.0, 1.0);
            pixels.extend([255, 255, 255, (cover * 255.0) as u8]);
        }
    }
    let size = Extent3d { width: side, height: side, depth_or_array_layers: 1 };
    Image::new(size, TextureDimension::D2, pixels, TextureFormat::Rgba8UnormSrgb, RenderAssetUsages::RENDER_WORLD)
}
