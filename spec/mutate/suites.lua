--- What can notice a mutation: commands, and the files whose mutations each of them is likely to notice.

local suites = {}

-- What is quick goes last in everything: those named here in this order, and then what else there is in spec/.
local QUICK <const> = {
    "tensor", "random", "optim", "memory", "layout", "nn", "autograd", "files", "loader", "profile", "audit", "args",
    "pipeline", "train", "data", "device", "dicom", "matmul", "metrics", "quality", "compile", "vision", "enhance",
    "winograd", "tune", "operations", "opencl_kernel",
}
local WITH_DEVICE <const> = {
    opencl = true, simt = true, conv2d_simt = true, winograd_simt = true, programs = true, examples = true,
}

local function add_others()
    local listed, pipe = {}, assert(io.popen("ls spec/*_spec.lua"))
    for _, name in ipairs(QUICK) do listed[name] = true end
    for path in pipe:lines() do
        local name = path:match("spec/(.*)_spec.lua")
        if not listed[name] and not WITH_DEVICE[name] then QUICK[#QUICK + 1] = name end
    end
    pipe:close()
end
add_others()

---@class mutate.Suite
---@field arguments string for busted
---@field env string? variables

---@type table<string, mutate.Suite>
suites.named = {
    -- programs of the example, from the command line
    programs = {arguments = "spec/programs_spec.lua"},
    command = {arguments = "spec/command_spec.lua"},
    examples = {arguments = "spec/examples_spec.lua"},
    ["slow-loader"] = {arguments = "--tags=slow,processes spec/loader_spec.lua"},
    ["slow-compile"] = {arguments = "--tags=slow,processes spec/compile_spec.lua"},
    ["slow-host"] = {arguments = "spec/host_spec.lua"},
    ["slow-device"] = {arguments = "--tags=slow,processes spec/device_spec.lua"},
    opencl = {arguments = "spec/opencl_spec.lua"},
    ["operations-opencl"] = {arguments = "spec/operations_spec.lua", env = "LUXEL_TEST_DEVICE=opencl"},
    simt = {arguments = "spec/simt_spec.lua", env = "LUXEL_OPENCL_FORM=simt"},
    ["conv2d-simt"] = {arguments = "spec/conv2d_simt_spec.lua", env = "LUXEL_OPENCL_FORM=simt"},
    ["winograd-simt"] = {arguments = "spec/winograd_simt_spec.lua", env = "LUXEL_OPENCL_FORM=simt"},
    ["operations-simt"] = {
        arguments = "spec/operations_spec.lua", env = "LUXEL_TEST_DEVICE=opencl LUXEL_OPENCL_FORM=simt",
    },
}
for _, name in ipairs(QUICK) do
    suites.named[name] = {arguments = ("--exclude-tags=slow,processes spec/%s_spec.lua"):format(name)}
end

-- The first pattern that a path matches says what is likely to notice; in front of a bar what is tried at first, behind
-- it what is slow, and tried when all that is quick has passed.
local TABLE <const> = {
    {"^kernels/simt/conv2d", "conv2d-simt simt | operations-simt", only = true},
    {"^kernels/simt/winograd", "winograd-simt conv2d-simt simt | operations-simt", only = true},
    {"^kernels/simt/convolution", "conv2d-simt winograd-simt simt | operations-simt", only = true},
    {"^kernels/simt/", "simt conv2d-simt | operations-simt", only = true},
    {"^csrc/ops/conv2d_simt", "conv2d-simt simt | operations-simt", only = true},
    {"^csrc/ops/winograd_simt", "winograd-simt conv2d-simt simt | operations-simt", only = true},
    {"_simt%.[ch]$", "simt conv2d-simt | operations-simt", only = true},
    {"^kernels/winograd", "winograd nn operations | operations-opencl"},
    {"^kernels/matmul", "matmul nn operations | operations-opencl"},
    {"^kernels/optim", "optim operations | operations-opencl"},
    {"^kernels/sort", "metrics tensor operations | operations-opencl"},
    {"^kernels/random", "random nn tensor operations | operations-opencl"},
    {"^kernels/philox", "random nn tensor pipeline operations | operations-opencl"},
    {"^kernels/gather", "tensor nn autograd operations | operations-opencl"},
    {"^kernels/", "nn operations winograd | operations-opencl simt"},
    {"^csrc/ops/winograd", "winograd nn operations"},
    {"^csrc/ops/matmul", "matmul nn operations"},
    {"^csrc/ops/optim", "optim operations"},
    {"^csrc/ops/sort", "metrics tensor operations"},
    {"^csrc/ops/", "tensor in_place nn operations winograd layout compile | operations-opencl"},
    {"^csrc/base/error", "tensor files"},
    {"^csrc/base/file", "files loader checkpoint tune slow-host | programs slow-loader"},
    {"^csrc/base/memory", "memory tensor files format"},
    {"^csrc/base/fork", "slow-host"},
    {"^csrc/base/pool", "tensor memory loader slow-host | slow-device"},
    {"^csrc/base/checksum", "files"},
    {"^csrc/base/", "memory device tensor files profile tune compile | opencl slow-device"},
    {"^csrc/tensor/numbers", "files"},
    {"^csrc/tensor/", "tensor autograd in_place nn operations"},
    {"^csrc/data/pipeline", "pipeline loader"},
    {"^csrc/data/steps", "pipeline loader"},
    {"^csrc/data/survey", "audit"},
    {"^csrc/data/", "loader data files pipeline audit | slow-loader programs"},
    {"^csrc/device/opencl/user", "opencl_kernel | opencl"},
    {"^csrc/device/opencl/", "opencl_kernel device operations-opencl tune profile simt | opencl slow-device"},
    {"^csrc/compile/record", "compile opencl_kernel | slow-compile opencl"},
    {"^csrc/compile/fold", "compile | slow-compile"},
    {"^csrc/compile/arena", "compile | slow-compile"},
    {"^csrc/device/tuning", "tune device | opencl"},
    {"^csrc/device/", "memory device tensor files profile tune compile | opencl slow-device"},
    {"^csrc/format/deflate", "files"},
    {"^csrc/format/png_write", "files"},
    {"^csrc/format/", "format dicom files vision data"},
    {"^csrc/image/draw", "files"},
    {"^csrc/image/font", "files"},
    {"^csrc/image/warp", "vision enhance pipeline"},
    {"^csrc/image/lungs", "enhance quality audit"},
    {"^csrc/image/measure", "audit quality"},
    {"^csrc/image/", "enhance vision pipeline audit quality"},
    {"^csrc/lua/bind_pipeline", "pipeline loader"},
    {"^csrc/lua/bind_loader", "loader data pipeline abuse | slow-loader"},
    {"^csrc/lua/bind_survey", "audit quality"},
    {"^csrc/lua/bind_opencl", "opencl_kernel | opencl"},
    {"^csrc/lua/bind_device", "device memory profile tune | opencl slow-device"},
    {"^csrc/lua/bind_recording", "compile abuse | slow-compile"},
    {"^csrc/lua/bind_[eig]", "enhance vision dicom pipeline"}, -- enhance, image, geometry
    {"^csrc/lua/planes", "enhance vision dicom pipeline"},
    {"^csrc/lua/bind_file", "files nn"},
    {"^csrc/lua/core", "tensor memory coroutine abuse slow-host"},
    {"^csrc/lua/", "tensor nn autograd in_place operations tensor_arguments coroutine"},
    {"^lua/luxel/data/audit", "audit"},
    {"^lua/luxel/data/", "data defaults loader audit pipeline metrics | programs slow-loader"},
    {"^lua/luxel/vision/pipeline", "pipeline loader"},
    {"^lua/luxel/vision/sheet", "pipeline"},
    {"^lua/luxel/vision/quality", "quality"},
    {"^lua/luxel/vision/draw", "files"},
    {"^lua/luxel/vision/read", "format files dicom"},
    {"^lua/luxel/vision/", "enhance defaults vision pipeline quality dicom | programs"},
    {"^lua/luxel/nn/fuse", "fuse nn compile"},
    {"^lua/luxel/nn/", "nn defaults operations autograd compile"},
    {"^lua/luxel/optim/", "optim defaults compile | programs"},
    {"^lua/luxel/train/", "train data loader optim compile | programs slow-compile opencl"},
    {"^lua/luxel/calibration", "metrics checkpoint | programs"},
    {"^lua/luxel/json", "checkpoint files"},
    {"^lua/luxel/types", "files args tensor pipeline enhance"},
    {"^lua/luxel/metrics", "metrics | programs"},
    {"^lua/luxel/compile", "compile | slow-compile"},
    {"^lua/luxel/opencl", "opencl_kernel | opencl"},
    {"^lua/luxel/device", "device memory | opencl slow-device programs"},
    {"^lua/luxel/io/", "files nn data | programs"},
    {"^lua/luxel/gradcheck", "tensor autograd operations"},
    {"^lua/luxel/checkpoint", "files nn data | programs"},
    {"^lua/luxel/profile", "profile | programs opencl"},
    {"^lua/luxel/tune", "tune | opencl programs"},
    {"^lua/luxel/notice", "device | slow-device programs"},
    {"^lua/luxel/",
        "tensor args autograd in_place nn random memory operations tensor_arguments coroutine | public programs"},
    {"^examples/%a", "examples programs", only = true},
    {"", "tensor nn | programs"},
}

local function names(list)
    local found = {}
    for name in list:gmatch("%S+") do
        assert(suites.named[name], name)
        found[#found + 1] = name
    end
    return found
end

--- The suites that could notice a mutation of a file, the likeliest first.
---@param path string
---@param likely boolean? those that are likely to, no others
---@return string[]
function suites.of(path, likely)
    for _, row in ipairs(TABLE) do
        if path:find(row[1]) then
            local first, last = row[2]:match("^([^|]*)|?(.*)$")
            local order, seen = {}, {}
            local others = not (row.only or likely) and QUICK or {}
            for _, list in ipairs {names(first), others, likely and {} or names(last)} do
                for _, name in ipairs(list) do
                    if not seen[name] then order[#order + 1] = name end
                    seen[name] = true
                end
            end
            return order
        end
    end
end

return suites
