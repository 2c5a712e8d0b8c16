--- A film that somebody asks about: the path of a file, or the bytes of one with a name.

local lx = require "luxel"

local film = {}

--- As a type of declarations.
film.TYPE = "text|{bytes: string, name: text?}"

--- Reads it, as bytes of 0..255.
---@param source string|{bytes: string, name: string?}
---@return string name
---@return Tensor? image uint8 [C,H,W]
---@return string? message, string? code
function film.read(source)
    if type(source) == "string" then return source, lx.vision.load(source, {bits = 8}) end
    local name = source.name or "image"
    return name, lx.vision.decode(source.bytes, {bits = 8, name = name})
end

--- Reads several, those of files at a time.
---@param sources (string|{bytes: string, name: string?})[]
---@return {name: string, image: Tensor?, info: table?, message: string?, code: string?}[]
function film.read_all(sources)
    local paths, places, out = {}, {}, {}
    for i, source in ipairs(sources) do
        if type(source) == "string" then
            paths[#paths + 1], places[#places + 1] = source, i
        else
            local name, image, info, code = film.read(source)
            out[i] = {name = name, image = image, info = image and info, message = not image and info, code = code}
        end
    end
    for k, found in ipairs(#paths > 0 and lx.vision.load_all(paths, {bits = 8}) or {}) do
        found.name = paths[k]
        out[places[k]] = found
    end
    return out
end

return film
