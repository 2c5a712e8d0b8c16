--- Reads image files for compare.py: paths on standard input, one a line; for each a line on standard output,
-- "ok CHANNELS HEIGHT WIDTH" and then the samples as float32, or "refused MESSAGE".
-- A path after "raw " is read as it is stored.

local core = require "luxel.core"
local lx = require "luxel"

local function answer(line)
    local raw, path = line:match("^(raw) (.*)$")
    path = path or line
    local probed, message = lx.vision.probe(path)
    local image
    if probed then
        image, message = lx.vision.load(path, {
            channels = probed.channels >= 3 and 3 or 1, raw = raw and true or nil,
            frame = probed.frames > 1 and 1 or nil,
        })
    end
    if not image then
        io.write("refused ", (message:gsub("%s+", " ")), "\n")
        return
    end
    local floats = image:float():contiguous()
    io.write(("ok %d %d %d\n"):format(table.unpack(image.shape)), core.to_string(floats))
end

for line in io.lines() do
    answer(line)
    io.flush()
end
