--- What the library says while something takes long, such as compiling kernels. By default a line on standard error,
--- above the progress line if there is one.

local core = require "luxel.core"

local notice = {
    console = nil, ---@type luxel.Console? the one whose progress line is on the screen now
}

local function show(text)
    text = ("luxel: %s ..."):format(text)
    if notice.console then
        notice.console:message(text)
    else
        io.stderr:write(text, "\n")
    end
end

--- Has `f(text)` called instead; `false` is for silence, nil for the line on standard error again.
---@param f fun(text: string)|false|nil
function notice.on_notice(f)
    if f ~= nil and f ~= false and type(f) ~= "function" then
        error(("on_notice: expected a function, false or nil, got %s"):format(type(f)), 2)
    end
    core.set_notice(f == nil and show or f or nil)
end

notice.on_notice(nil)

return notice
