--- Image files.

local args = require "luxel.args"
local core = require "luxel.core"

local read = {}

-- ---- what a file says -------------------------------------------------------------------------------------------

---@class luxel.ImageInfo
---@field format string of `vision.formats`
---@field width integer of the upright picture
---@field height integer
---@field channels integer as stored: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
---@field bits integer of a sample that mean something: of 16-bit PNG and TIFF files those that are in use, which white
---  is the end of
---@field white number? the level that is white, where black is 0; nil where values are units of their own, and of
---  `vision.probe`
---@field orientation integer as EXIF counts: 1 upright, 3 upside down, 6 to be turned clockwise, ...
---@field frames integer frames of a DICOM file, pages of a TIFF file, slices of a MetaImage
---@field modality string? DICOM: "CR", "DX", ...
---@field photometric string? DICOM: "MONOCHROME1" (white is at the small end of what is stored), "MONOCHROME2", ...
---@field view_position string? DICOM: "PA", "AP", "LL", ...
---@field laterality string?
---@field body_part string?
---@field sex string?
---@field age string?
---@field pixel_spacing number[]? millimetres between rows and between columns, in the patient
---@field detector_spacing number[]? the same at the detector
---@field windows {centre: number, width: number}[]?
---@field voi_function string?
---@field rescale_slope number?
---@field rescale_intercept number?
---@field transfer_syntax string?
local ImageInfo = {__name = "luxel.ImageInfo"}

args.type("image_info", "what vision.load says of a file", "table", function(value)
    return getmetatable(value) == ImageInfo
end)

local SHOWN <const> = {
    "format", "width", "height", "channels", "bits", "orientation", "frames", "modality", "photometric",
    "view_position", "laterality", "body_part", "sex", "age", "manufacturer", "transfer_syntax",
}

function ImageInfo:__tostring()
    local parts = {}
    for _, name in ipairs(SHOWN) do
        local value = self[name]
        local is_usual = value == nil or value == 1 and (name == "orientation" or name == "frames")
        if not is_usual then parts[#parts + 1] = name .. " " .. tostring(value) end
    end
    return table.concat(parts, ", ")
end

-- An image and what its file says, as users get them.
local function with_info(image, info, code)
    if not image then return nil, info, code end
    return image, setmetatable(info, ImageInfo)
end

-- ---- reading ----------------------------------------------------------------------------------------------------

local DEFAULTS <const> = {channels = 1, orientation = true, voi = "lut"}

local function core_options(options)
    local opts = args.with_defaults(options, DEFAULTS)
    return {
        channels = opts.channels, bytes = opts.bits == 8, raw = opts.raw, frame = opts.frame,
        as_stored = not opts.orientation, prefer_window = opts.voi == "window", identifiers = opts.identifiers,
    }
end

--- Reads an image file of one of `vision.formats`.
---
--- Files of 8 bits give uint8; deeper ones float32 in the units that the file stores, or with bits = 8 uint8 too:
--- DICOM through its table of levels or first window (or from the smallest to the largest value of the image where the
--- file has neither), others from 0 to the largest level of the bits in use. Of DICOM files the values are rescaled
--- (slope and intercept, or table), and MONOCHROME1 is inverted, so that white is always at the large end; so is
--- MinIsWhite of TIFF files. Signed, long and floating samples of TIFF files and MetaImages are units of their own:
--- their smallest is black and their largest white. With raw = true they are as they are stored. Padding of DICOM files
--- is black wherever levels are asked for. Pictures are turned upright as EXIF and TIFF say.
---@param path string
---@param options? {channels: integer?, bits: integer?, raw: boolean?, orientation: boolean?, voi: string?,
---  frame: integer?, identifiers: boolean?} channels 1 (grey, the default) or 3; orientation = false leaves the picture
---  as it is stored; voi = "window" prefers a window to a table of levels where a DICOM file has both; frame of a DICOM
---  file or slice of a MetaImage (needed where it has several) or page of a TIFF file (default the first), from 1;
---  identifiers: also what names the patient (name, id, dates, UIDs)
---@return Tensor? image [C,H,W]; nil if it cannot be read
---@return luxel.ImageInfo|string info what the file says, or the message
---@return string? code "io" or "format"
function read.load(path, options) return with_info(core.load_image(path, core_options(options))) end

--- Reads several files at a time, each as `load` does.
---@param paths string[] 1 to 4096
---@param options? table as for `load`
---@return {image: Tensor?, info: luxel.ImageInfo?, message: string?, code: string?}[] films in order; with a message
---  and a code ("io", "format", "memory") instead where a file cannot be read
function read.load_all(paths, options)
    local films = core.load_images(paths, core_options(options))
    for _, film in ipairs(films) do
        if film.info then setmetatable(film.info, ImageInfo) end
    end
    return films
end

--- The same of a file's bytes.
---@param bytes string
---@param options? table as for `load`, and name: of the image, for messages
---@return Tensor? image, luxel.ImageInfo|string info, string? code
function read.decode(bytes, options)
    return with_info(core.decode_image(bytes, core_options(options), options and options.name or "image"))
end

--- The header of an image file, without its pixels.
---@param path string
---@param options? {identifiers: boolean?, orientation: boolean?} orientation = false: the size before it is turned
---  upright
---@return luxel.ImageInfo?, string?, string?
function read.probe(path, options)
    local info, message, code = core.probe_image(path, {
        identifiers = options and options.identifiers, as_stored = options and options.orientation == false,
    })
    if not info then return nil, message, code end
    return setmetatable(info, ImageInfo)
end

-- ---- writing ----------------------------------------------------------------------------------------------------

-- Extensions of formats that are not written.
local OTHERS = {gif = true, webp = true, jp2 = true}
for _, format in ipairs(core.image_formats()) do
    for _, extension in ipairs(format.extensions) do OTHERS[extension] = format.name ~= "PNG" end
end

--- Writes a PNG; the old file stays until the new one is complete.
---@param path string
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@return boolean? ok, string? message, string? code
function read.save(path, image)
    local extension = path:match("%.([^./]*)$")
    if extension and OTHERS[extension:lower()] then
        args.fail("save: path: PNG is what is written, and \"%s\" says another format; end it with .png", path)
    end
    return core.write_png(path, image)
end

local OPTIONS <const> = "channels: 1|3?, bits: 8?, raw: boolean?, orientation: boolean?, voi: \"lut\"|\"window\"?, "
    .. "frame: integer(1..1000000)?, identifiers: boolean?"

args.publish("", read, {
    load = "path: path, options: {" .. OPTIONS .. "}?",
    load_all = "paths: path[], options: {" .. OPTIONS .. "}?",
    decode = "bytes: string, options: {" .. OPTIONS .. ", name: text?}?",
    probe = "path: path, options: {identifiers: boolean?, orientation: boolean?}?",
    save = "path: path, image: picture",
})

--- The names of the formats that are read.
---@type string[]
read.formats = {}
for i, format in ipairs(core.image_formats()) do read.formats[i] = format.name end

return read
