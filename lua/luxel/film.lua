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

return film
