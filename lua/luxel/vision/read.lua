--- Image files.

local core = require "luxel.core"
local options = require "luxel.data.options"

local read = {}

local LOAD <const> = {channels = 1, bits = options.UNSET, raw = false, frame = 1, identifiers = false}

--- Reads an image file: JPEG, PNG, PGM/PPM, BMP, or DICOM (uncompressed, RLE, baseline and lossless JPEG; JPEG 2000
--- where OpenJPEG was there at build time).
---
--- Files of 8 bits give uint8; deeper ones float32 in the units that the file stores, or with bits = 8 uint8 too:
--- DICOM through its first window (or from the smallest to the largest value of the image where the file has none),
--- others by their upper 8 bits. Of DICOM files the values are rescaled (slope and intercept, or table), and
--- MONOCHROME1 is inverted, so that white is always at the large end; with raw = true they are as they are stored.
---@param path string
---@param opts? {channels: integer?, bits: integer?, raw: boolean?, frame: integer?, identifiers: boolean?} channels 1
---  (grey, the default) or 3; frame of a DICOM file, from 1; identifiers: also what names the patient (name, id,
---  dates, UIDs)
---@return Tensor? image [C,H,W]; nil if it cannot be read
---@return luxel.ImageInfo|string info what the file says, or the message
---@return string? code "io" or "format"
function read.load(path, opts)
    opts = options.read("load", opts, LOAD)
    if opts.channels ~= 1 and opts.channels ~= 3 then
        error(("load: channels expects 1 or 3, got %s"):format(tostring(opts.channels)), 2)
    end
    if opts.bits and opts.bits ~= 8 then error(("load: bits expects 8, got %s"):format(tostring(opts.bits)), 2) end
    options.check_number("load", "frame", opts.frame, 1, 1000000, true)
    return core.load_image(path, {
        channels = opts.channels, bytes = opts.bits == 8, raw = opts.raw, frame = opts.frame,
        identifiers = opts.identifiers,
    })
end

---@class luxel.ImageInfo
---@field format string "JPEG", "PNG", "BMP", "PNM" or "DICOM"
---@field width integer
---@field height integer
---@field channels integer as stored: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
---@field bits integer of a sample that mean something
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
---@field frames integer?

--- What a file says about itself, without its pixels.
---@param path string
---@param opts? {identifiers: boolean?}
---@return luxel.ImageInfo?, string?, string?
function read.probe(path, opts)
    return core.probe_image(path, options.read("probe", opts, {identifiers = false}).identifiers)
end

--- Writes a PNG; the old file stays until the new one is complete.
---@param path string
---@param image Tensor uint8 [1,H,W] or [3,H,W]
---@return boolean? ok, string? message, string? code
function read.save(path, image) return core.write_png(path, image) end

return read
