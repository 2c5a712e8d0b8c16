--- Every operation and layer of spec/cases.lua against PyTorch's values, with inputs in every memory layout, and
-- against finite differences. CASE=conv2d in the environment picks the cases whose name has that in it, and
-- LUXEL_TEST_DEVICE=opencl another device than the cpu, for the values alone.

-- The cases and their support lie beside this file, wherever the tests are started from.
local here = debug.getinfo(1, "S").source:match("^@(.*)operations_spec%.lua$")
package.path = here .. "?.lua;" .. here .. "support/?.lua;" .. package.path

local lx = require "luxel"
local core = require "luxel.core"
local cases = require "cases"
local golden = require "golden"
local running = require "running"

local STEPS <const> = {1 / 256, 1 / 2048} -- of finite differences; the second where the function bends in the first
local ELEMENTS <const> = 3 -- of each input that are differentiated so
local PICK <const> = os.getenv("CASE") or ""

local stored = golden.load(here .. "golden/golden.safetensors", cases)

-- ---- which operations had their gradient computed ---------------------------------------------------------------

-- Its gradient is an argument, found by the loss of detections: spec/detection_spec.lua compares that.
local differentiated = {with_gradient = true}
local operations = {}
for name, definition in pairs(lx.autograd.registry) do
    operations[#operations + 1] = name
    local backward = definition.backward
    definition.backward = function(...)
        differentiated[name] = true
        return backward(...)
    end
end
table.sort(operations)

-- ---- finite differences -----------------------------------------------------------------------------------------

-- Draws numbers from 1 to a count. Each case has its own, so that adding one leaves the others as they are.
local function picker(name)
    local state = 1
    for i = 1, #name do state = (state * 31 + name:byte(i)) % 2147483648 end
    return function(count)
        state = (state * 1103515245 + 12345) % 2147483648
        return state // 65536 % count + 1
    end
end

-- The results as plain numbers with element `index` of input `name` moved by `step`.
local function moved(case, wanted, name, index, step)
    local numbers = table.move(wanted.inputs[name].numbers, 1, #wanted.inputs[name].numbers, 1, {})
    numbers[index] = numbers[index] + step
    local results = table.pack(case.run(running.inputs_of(wanted, running.as_stored, "cpu", name, numbers)))
    for k = 1, results.n do results[k] = golden.flat(results[k]) end
    return results
end

-- The slope of sum(result * output gradient) along one element, and how much rounding may change it.
local function slope(case, wanted, name, index, weights, step)
    local up, down = moved(case, wanted, name, index, step), moved(case, wanted, name, index, -step)
    local sum, rounding = 0, 0
    for number, weight in pairs(weights) do
        for k, w in ipairs(weight) do
            sum = sum + w * (up[number][k] - down[number][k])
            rounding = rounding + (w * up[number][k]) ^ 2
        end
    end
    return sum / (2 * step), 3e-7 * math.sqrt(rounding) / (2 * step)
end

local function largest(numbers)
    local most = 0
    for _, number in ipairs(numbers) do most = math.max(most, math.abs(number)) end
    return most
end

-- Nil if the slope along one element is the gradient there, or what is wrong.
local function slope_problem(case, wanted, name, index, weights, grad)
    local problem
    for _, step in ipairs(STEPS) do
        local estimate, rounding = slope(case, wanted, name, index, weights, step)
        local allowed = 2e-2 * math.abs(grad[index]) + 2e-3 * largest(grad) + rounding + 1e-6
        if math.abs(estimate - grad[index]) <= allowed then return nil end
        problem = ("gradient of %s[%d] is %.6g, finite differences say %.6g (allowed difference %.2g)"):format(name,
            index, grad[index], estimate, allowed)
    end
    return problem
end

local function check_slopes(case, wanted)
    local inputs, outputs = running.run(case, wanted, running.as_stored, "cpu")
    local weights = {}
    for number = 1, outputs.n do
        if running.is_recorded(outputs[number]) then
            weights[number] = golden.flat(golden.output_gradient(number, outputs[number].shape))
        end
    end
    local names = {}
    for name in pairs(wanted.grads) do names[#names + 1] = name end
    table.sort(names) -- so that the same elements are picked at every run
    local pick = picker(case.name)
    for _, name in ipairs(names) do
        local grad = golden.flat(inputs[name].grad)
        for _ = 1, ELEMENTS do
            local problem = slope_problem(case, wanted, name, pick(#grad), weights, grad)
            if problem then error(problem, 0) end
        end
    end
end

-- ---- the tests --------------------------------------------------------------------------------------------------

local function check_against_golden(case, wanted, layout, device)
    local problem = running.disagreement(case, wanted, layout, device)
    if problem then error(problem, 0) end
end

local function each_case(f)
    for _, case in ipairs(cases) do
        if case.name:find(PICK, 1, true) then f(case, stored[case.name]) end
    end
end

describe("the table of cases", function()
    it("has the same names as the golden values", function()
        local named = {}
        for _, case in ipairs(cases) do
            assert.is_nil(named[case.name], case.name .. " occurs twice")
            named[case.name] = true
            assert.is_table(stored[case.name], case.name .. " is missing in golden.safetensors; run make.py")
        end
        for name in pairs(stored) do assert.is_true(named[name], name .. " is missing in cases.lua") end
    end)
end)

local device = core.label(os.getenv("LUXEL_TEST_DEVICE") or "cpu")

describe("on " .. device, function()
    each_case(function(case, wanted)
        it(case.name .. " gives PyTorch's values", function()
            check_against_golden(case, wanted, running.as_stored, device)
        end)
        it(case.name .. " takes inputs that are views with gaps", function()
            check_against_golden(case, wanted, running.strided, device)
        end)
        if running.has_images(wanted) then
            it(case.name .. " takes inputs in the blocked layout", function()
                check_against_golden(case, wanted, running.blocked, device)
            end)
        end
    end)
end)

if device ~= "cpu" then return end

describe("finite differences", function()
    each_case(function(case, wanted)
        if case.slopes ~= false and next(wanted.grads) then
            it("confirm the gradient of " .. case.name, function() check_slopes(case, wanted) end)
        end
    end)
end)

if PICK == "" then
    describe("the cases together", function()
        it("compute the gradient of every operation there is", function()
            local missing = {}
            for _, name in ipairs(operations) do
                if not differentiated[name] then missing[#missing + 1] = name end
            end
            assert.same({}, missing)
        end)

        it("leave no memory behind", function()
            local function live_after_all()
                each_case(function(case, wanted) running.run(case, wanted, running.as_stored, device) end)
                collectgarbage()
                collectgarbage()
                return lx.memory(device).live
            end
            assert.equal(live_after_all(), live_after_all())
        end)
    end)
end
