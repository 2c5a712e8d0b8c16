--- Seeded random streams for the Lua side: shuffles, splits, augmentation, bootstrap, phantoms.
--
-- A stream is named by integers, `random.stream(seed, epoch, index)`, and depends on nothing else: what image 17 goes
-- through in epoch 3 does not change with the batch size, with the number of threads, or with what was drawn before.
-- The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).

local args = require "luxel.args"

local random = {
    seeding = 0, -- how often lx.manual_seed was called: what counts by itself begins anew then
}

local GOLDEN <const> = 0x9E3779B97F4A7C15

local function mix(z)
    z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ~ (z >> 27)) * 0x94D049BB133111EB
    return z ~ (z >> 31)
end

---@class luxel.Stream
---@field private state integer
local Stream = {}
Stream.__index = Stream

--- A stream named by one or more integers (floats with an integer value are taken too).
---@param ... integer
---@return luxel.Stream
function random.stream(...)
    local state = 0
    for i = 1, select("#", ...) do
        local part = math.tointeger((select(i, ...)))
        if not part then
            args.fail("random.stream: argument %d: expected an integer, got %s", i, args.describe((select(i, ...))))
        end
        state = mix(state + GOLDEN * i + part)
    end
    return setmetatable({state = state}, Stream)
end

--- An integer of 1..n, each as likely (n below 2^31).
---@param n integer
---@return integer
function Stream:integer(n)
    local state = self.state + GOLDEN
    self.state = state
    return ((mix(state) >> 33) * n >> 31) + 1
end

--- A number of [low, high).
---@param low number
---@param high number
---@return number
function Stream:uniform(low, high)
    local state = self.state + GOLDEN
    self.state = state
    return low + (high - low) * ((mix(state) >> 11) * 0x1p-53)
end

--- A normal number of mean 0 and deviation 1 (Box and Muller 1958).
---@return number
function Stream:normal()
    local radius = math.sqrt(-2 * math.log(1 - self:uniform(0, 1)))
    return radius * math.cos(self:uniform(0, 2 * math.pi))
end

--- The numbers 1..n in random order (Fisher and Yates).
---@param n integer
---@return integer[]
function Stream:permutation(n)
    local order = {}
    for i = 1, n do
        order[i] = i
    end
    for i = n, 2, -1 do
        local j = self:integer(i)
        order[i], order[j] = order[j], order[i]
    end
    return order
end

return random
