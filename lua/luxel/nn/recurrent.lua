--- Layers that read sequences step by step: GRU and LSTM, with PyTorch's names of weights. They are put together from
--- operations that exist.

local args = require "luxel.args"
local check = require "luxel.nn.check"
local core = require "luxel.core"
local declare = require "luxel.nn.declare"
local F = require "luxel.nn.functional"
local init = require "luxel.nn.initialisers"
local lx = require "luxel"
local Module = require "luxel.nn.module"

local layers = {}

local DIRECTIONS <const> = {"", "_reverse"}

-- Weights of all layers: uniform with the variance 1 / (3 hidden_size), as PyTorch's.
local function init_weights(self, gates, input_size, hidden_size, options)
    options = options or {}
    self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, options.num_layers or 1
    self.bidirectional, self.batch_first = options.bidirectional == true, options.batch_first == true
    self.dropout = options.dropout or 0
    local directions, bound = self.bidirectional and 2 or 1, hidden_size ^ -0.5
    for layer = 1, self.num_layers do
        local inputs = layer == 1 and input_size or hidden_size * directions
        for direction = 1, directions do
            local suffix = ("_l%d%s"):format(layer - 1, DIRECTIONS[direction])
            self["weight_ih" .. suffix] = Module.Parameter(lx.empty(gates * hidden_size, inputs))
            self["weight_hh" .. suffix] = Module.Parameter(lx.empty(gates * hidden_size, hidden_size))
            if options.bias ~= false then
                self["bias_ih" .. suffix] = Module.Parameter(lx.empty(gates * hidden_size))
                self["bias_hh" .. suffix] = Module.Parameter(lx.empty(gates * hidden_size))
            end
        end
    end
    for _, parameter in self:named_parameters() do init.uniform_(parameter, -bound, bound) end
end

local function text_of(self)
    local text = ("%d, %d"):format(self.input_size, self.hidden_size)
    if self.num_layers > 1 then text = ("%s, num_layers=%d"):format(text, self.num_layers) end
    if not self.bias_ih_l0 then text = text .. ", bias=false" end
    if self.batch_first then text = text .. ", batch_first=true" end
    if self.dropout > 0 then text = ("%s, dropout=%g"):format(text, self.dropout) end
    return self.bidirectional and text .. ", bidirectional=true" or text
end

-- Every weight is used once for each step of each sequence.
local function multiply_adds(self, x)
    local count = 0
    for name, parameter in self:named_parameters() do
        if name:find("^weight") then count = count + parameter:numel() end
    end
    return count * (x:numel() // self.input_size)
end

-- For each step the sequences that still go on, float32 [N,1], false where all do; and uint8 [L,N,1], 1 where one has
-- ended. Nil where none ends before the last step.
local function masks_of(self, lengths, steps, n, device)
    if lengths == nil then return nil end
    if core.is_usable(lengths) then lengths = lengths:totable() end
    if type(lengths) ~= "table" or #lengths ~= n then
        check.fail(self, "lengths: expected one for each of %d sequences, got %s", n, args.describe(lengths))
    end
    local masks, ended, all = {}, {}, true
    for i, length in ipairs(lengths) do
        local whole = type(length) == "number" and math.tointeger(length)
        if not whole or whole < 1 or whole > steps then
            check.fail(self, "lengths: expected whole numbers from 1 to %d, got %s for sequence %d", steps,
                args.describe(length), i)
        end
        all = all and whole == steps
    end
    if all then return nil end
    for t = 1, steps do
        local goes_on, column = true, {}
        ended[t] = {}
        for i = 1, n do
            local on = t <= lengths[i]
            column[i], ended[t][i], goes_on = {on and 1 or 0}, {on and 0 or 1}, goes_on and on
        end
        masks[t] = not goes_on and lx.tensor(column, {device = device}) or false
    end
    return masks, lx.tensor(ended, {dtype = "uint8", device = device})
end

-- One direction of one layer over inputs [L,N,I]: outputs [L,N,H] and the last states, a list of [N,H] each. A sequence
-- that has ended keeps its states and gives zeros.
local function run(self, step, x, suffix, states, masks, backwards)
    local from_input = F.linear(x, self["weight_ih" .. suffix], self["bias_ih" .. suffix])
    local weight, bias = self["weight_hh" .. suffix], self["bias_hh" .. suffix]
    local steps, outputs = x.shape[1], {}
    for i = 1, steps do
        local t = backwards and steps - i + 1 or i
        local after = step(from_input:select(1, t), F.linear(states[1], weight, bias), states, self.hidden_size)
        local mask = masks and masks[t]
        if mask then
            for k, state in ipairs(after) do after[k] = states[k] + (state - states[k]) * mask end
        end
        states = after
        outputs[t] = mask and states[1] * mask or states[1]
    end
    return lx.stack(outputs, 1), states
end

local function check_state(self, name, state, count, n)
    if state ~= nil then check.float(self, name, state, {count, n, self.hidden_size}) end
end

-- All layers over a sequence. `given`: initial states by name, in order; returns the outputs and the last states.
local function run_layers(self, step, x, names, given, lengths)
    check.float(self, "input", x, self.batch_first and {"N", "L", self.input_size} or {"L", "N", self.input_size})
    if self.batch_first then x = x:transpose(1, 2) end
    local steps, n, directions = x.shape[1], x.shape[2], self.bidirectional and 2 or 1
    if steps == 0 then check.fail(self, "input: expected at least one step, got %s", args.describe(x)) end
    for k, name in ipairs(names) do check_state(self, name, given[k], self.num_layers * directions, n) end
    local masks, ended = masks_of(self, lengths, steps, n, x.device)
    if ended then x = x:masked_fill(ended, 0) end -- whatever is there, NaN too
    local last = {}
    for k = 1, #names do last[k] = {} end
    for layer = 1, self.num_layers do
        local outputs = {}
        for direction = 1, directions do
            local place, states = (layer - 1) * directions + direction, {}
            for k = 1, #names do
                states[k] = given[k] and given[k]:select(1, place)
                    or lx.zeros({n, self.hidden_size}, {device = x.device})
            end
            local suffix = ("_l%d%s"):format(layer - 1, DIRECTIONS[direction])
            outputs[direction], states = run(self, step, x, suffix, states, masks, direction == 2)
            for k, state in ipairs(states) do last[k][place] = state end
        end
        x = outputs[2] and lx.cat(outputs, 3) or outputs[1]
        if layer < self.num_layers then x = F.dropout(x, self.dropout, self.training) end
    end
    for k, list in ipairs(last) do last[k] = lx.stack(list, 1) end
    return self.batch_first and x:transpose(1, 2) or x, last
end

-- ---- GRU ------------------------------------------------------------------------------------------------------

-- r and z are the gates that forget and that keep, n the new state.
local function gru_step(a, b, states, size)
    local gates = (a:narrow(2, 1, 2 * size) + b:narrow(2, 1, 2 * size)):sigmoid()
    local r, z = gates:narrow(2, 1, size), gates:narrow(2, size + 1, size)
    local n = (a:narrow(2, 2 * size + 1, size) + r * b:narrow(2, 2 * size + 1, size)):tanh()
    return {n + z * (states[1] - n)}
end

---@class GRU: Module
---@overload fun(input_size: integer, hidden_size: integer, options: table?): GRU
local GRU = Module.class("GRU")
layers.GRU = GRU

--- `nn.GRU(32, 64)`: gated recurrent units (Cho et al. 2014), in PyTorch's form:
---     r = σ(W x + U h), z = σ(W x + U h), n = tanh(W x + r (U h)), h = (1 - z) n + z h,
--- each with biases of its own on both sides. Weights are `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`,
--- and so on by layer, with `_reverse` behind those of the other direction; r, z, n stand one below the other.
---@param input_size integer
---@param hidden_size integer
---@param options {num_layers: integer, bias: boolean, batch_first: boolean, dropout: number, bidirectional: boolean}?
---  num_layers: default 1; bias: default true; batch_first: sequences are [N,L,I] instead of [L,N,I], default false;
---  dropout: between layers, while training, default 0; bidirectional: a second pass from the end, default false
function GRU:init(input_size, hidden_size, options) init_weights(self, 3, input_size, hidden_size, options) end

---@param x Tensor [L,N,input_size], or [N,L,input_size] with batch_first
---@param h Tensor? [layers directions,N,hidden_size], default 0
---@param options {lengths: integer[]|Tensor|nil}? lengths: steps of each sequence, default all of them; what comes
---  behind is not read, outputs there are 0, and the second pass begins at the last step
---@return Tensor y [L,N,directions hidden_size] likewise, of the last layer
---@return Tensor h [layers directions,N,hidden_size] after the last step
function GRU:forward(x, h, options)
    local y, last = run_layers(self, gru_step, x, {"h"}, {h}, options and options.lengths)
    return y, last[1]
end

GRU.extra, GRU.multiply_adds = text_of, multiply_adds

local OPTIONS <const> = "input_size: size, hidden_size: size, options: {num_layers: integer(1..1000)?, bias: boolean?, "
    .. "batch_first: boolean?, dropout: number(0..1)?, bidirectional: boolean?}?"

declare(GRU, {
    init = OPTIONS, forward = "x: any?, h: any?, options: {lengths: any?}?",
    multiply_adds = "x: tensor, y: tensor?",
})

-- ---- LSTM -----------------------------------------------------------------------------------------------------

-- i, f and o are the gates of input, of forgetting and of output, g the new part of the cell.
local function lstm_step(a, b, states, size)
    local all = a + b
    local gates = all:narrow(2, 1, 2 * size):sigmoid()
    local i, f = gates:narrow(2, 1, size), gates:narrow(2, size + 1, size)
    local g, o = all:narrow(2, 2 * size + 1, size):tanh(), all:narrow(2, 3 * size + 1, size):sigmoid()
    local c = f * states[2] + i * g
    return {o * c:tanh(), c}
end

---@class LSTM: Module
---@overload fun(input_size: integer, hidden_size: integer, options: table?): LSTM
local LSTM = Module.class("LSTM")
layers.LSTM = LSTM

--- `nn.LSTM(32, 64)`: long short-term memory (Hochreiter and Schmidhuber 1997; with forget gates Gers et al. 2000):
---     i, f, o = σ(W x + U h), g = tanh(W x + U h), c = f c + i g, h = o tanh(c).
--- Weights are called as those of `nn.GRU`; i, f, g, o stand one below the other.
---@param input_size integer
---@param hidden_size integer
---@param options {num_layers: integer, bias: boolean, batch_first: boolean, dropout: number, bidirectional: boolean}?
---  as of `nn.GRU`
function LSTM:init(input_size, hidden_size, options) init_weights(self, 4, input_size, hidden_size, options) end

---@param x Tensor [L,N,input_size], or [N,L,input_size] with batch_first
---@param h Tensor? [layers directions,N,hidden_size], default 0
---@param c Tensor? likewise, the cells
---@param options {lengths: integer[]|Tensor|nil}? as of `nn.GRU`
---@return Tensor y [L,N,directions hidden_size] likewise, of the last layer
---@return Tensor h [layers directions,N,hidden_size] after the last step
---@return Tensor c likewise
function LSTM:forward(x, h, c, options)
    local y, last = run_layers(self, lstm_step, x, {"h", "c"}, {h, c}, options and options.lengths)
    return y, last[1], last[2]
end

LSTM.extra, LSTM.multiply_adds = text_of, multiply_adds

declare(LSTM, {
    init = OPTIONS, forward = "x: any?, h: any?, c: any?, options: {lengths: any?}?",
    multiply_adds = "x: tensor, y: tensor?",
})

return layers
