--- Makes a folder, and those that it is in, unless they exist.

local lfs = require "lfs"

---@param path string
---@return true? ok, string? message, string? code
return function(path)
    local so_far = path:sub(1, 1) == "/" and "/" or ""
    for part in path:gmatch("[^/]+") do
        so_far = so_far .. part
        local ok, message = lfs.mkdir(so_far)
        if not ok and lfs.attributes(so_far, "mode") ~= "directory" then
            return nil, ("cannot make the folder %s: %s"):format(so_far, message), "io"
        end
        so_far = so_far .. "/"
    end
    return true
end
