--- Sums of products written as indices: `einsum("bij,bjk->bik", a, b)`.

local args = require "luxel.args"
local ops = require "luxel.ops"
local shapes = require "luxel.shape"

-- The indices of a term, in order; each once.
local function letters_of(term, equation)
    local letters, seen = {}, {}
    for letter in term:gmatch(".") do
        if not letter:match("%a") then
            args.fail("einsum: equation: expected letters, commas and ->, got %q in %q", letter, equation)
        elseif seen[letter] then
            args.fail("einsum: equation: %q has '%s' twice in one term, which is not supported", equation, letter)
        end
        letters[#letters + 1], seen[letter] = letter, true
    end
    return letters
end

-- The indices of the operands and of the result. Without an arrow: those that occur once, in alphabetical order.
local function parse(equation)
    local text = equation:gsub("%s", "")
    local left, right = text:match("^(.-)%->(.*)$")
    left = left or text
    local terms, counts = {}, {}
    for term in (left .. ","):gmatch("(.-),") do
        local letters = letters_of(term, equation)
        terms[#terms + 1] = letters
        for _, letter in ipairs(letters) do counts[letter] = (counts[letter] or 0) + 1 end
    end
    local result = {}
    if right then
        result = letters_of(right, equation)
    else
        for letter, count in next, counts do
            if count == 1 then result[#result + 1] = letter end
        end
        table.sort(result)
    end
    for _, letter in ipairs(result) do
        if not counts[letter] then
            args.fail("einsum: equation: '%s' of the result of %q is in no operand", letter, equation)
        end
    end
    return terms, result
end

local function set_of(letters)
    local set = {}
    for i, letter in ipairs(letters) do set[letter] = i end
    return set
end

local function either(a, b)
    local union = {}
    for letter in next, a do union[letter] = true end
    for letter in next, b do union[letter] = true end
    return union
end

-- Sums the indices away that nobody needs.
local function drop(operand, needed)
    local dims, kept = {}, {}
    for i, letter in ipairs(operand.letters) do
        if needed[letter] then kept[#kept + 1] = letter else dims[#dims + 1] = i end
    end
    if #dims == 0 then return operand end
    return {tensor = ops.sum(operand.tensor, dims, false), letters = kept}
end

-- The operand as a tensor of three dimensions, each the product of a group of indices.
local function grouped(operand, ...)
    local places, order, sizes, shape = set_of(operand.letters), {}, {}, operand.tensor.shape
    for g, group in ipairs {...} do
        sizes[g] = 1
        for _, letter in ipairs(group) do
            order[#order + 1] = places[letter]
            sizes[g] = sizes[g] * shape[places[letter]]
        end
    end
    return ops.reshape(ops.permute(operand.tensor, order), sizes)
end

-- Two operands as one batch of matrix products: indices of both that are needed are the batch, others of both the sum.
local function multiply(a, b, needed, size_of)
    local in_a, in_b = set_of(a.letters), set_of(b.letters)
    local batch, summed, left, right = {}, {}, {}, {}
    for _, letter in ipairs(a.letters) do
        local group = not in_b[letter] and left or needed[letter] and batch or summed
        group[#group + 1] = letter
    end
    for _, letter in ipairs(b.letters) do
        if not in_a[letter] then right[#right + 1] = letter end
    end
    local product = ops.matmul(grouped(a, batch, left, summed), grouped(b, batch, summed, right))
    local letters, shape = {}, {}
    for _, group in ipairs {batch, left, right} do
        for _, letter in ipairs(group) do
            letters[#letters + 1] = letter
            shape[#shape + 1] = size_of[letter]
        end
    end
    return {tensor = ops.reshape(product, shape), letters = letters}
end

local function operands_of(equation, terms, tensors)
    if #terms ~= #tensors then
        args.fail("einsum: equation: %q has %d operands, %d tensors were given", equation, #terms, #tensors)
    end
    local operands, size_of = {}, {}
    for i, tensor in ipairs(tensors) do
        local shape = tensor.shape
        if #shape ~= #terms[i] then
            args.fail("einsum: tensor %d has shape %s, for which %q has %d indices", i, shapes.text(shape), equation,
                #terms[i])
        end
        for dim, letter in ipairs(terms[i]) do
            if (size_of[letter] or shape[dim]) ~= shape[dim] then
                args.fail("einsum: '%s' of %q has sizes %d and %d", letter, equation, size_of[letter], shape[dim])
            end
            size_of[letter] = shape[dim]
        end
        operands[i] = {tensor = tensor, letters = terms[i]}
    end
    return operands, size_of
end

--- The sum of products that an equation names, in Einstein's convention: letters for dimensions, one group an operand;
--- those that the result does not have are summed away. A letter stands once in a group; there are no ellipses.
---@param equation string as "ij,jk->ik"
---@param ... Tensor
---@return Tensor
return function(equation, ...)
    local terms, result = parse(equation)
    local operands, size_of = operands_of(equation, terms, {...})
    local now = operands[1]
    for i = 1, #operands do
        local needed = set_of(result)
        for later = i + 1, #operands do
            for _, letter in ipairs(operands[later].letters) do needed[letter] = needed[letter] or 0 end
        end
        if i > 1 then
            local in_now, other = set_of(now.letters), operands[i]
            now = drop(now, either(needed, set_of(other.letters)))
            now = multiply(now, drop(other, either(needed, in_now)), needed, size_of)
        end
        now = drop(now, needed)
    end
    local places, order = set_of(now.letters), {}
    for i, letter in ipairs(result) do order[i] = places[letter] end
    return ops.permute(now.tensor, order)
end
