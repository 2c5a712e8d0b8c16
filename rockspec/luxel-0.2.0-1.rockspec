rockspec_format = "3.0"
package = "luxel"
version = "0.2.0-1"
source = {url = "."}
description = {
    summary = "Tensors, layers and training for convolutional networks on radiographs",
    detailed = "A Lua extension module in C: tensors, automatic differentiation, layers, losses, optimisers, image "
        .. "folders and a training loop, with the arithmetic in kernels that are C and OpenCL C at once.",
    license = "MIT",
}
supported_platforms = {"unix"}
dependencies = {"lua >= 5.4, < 5.5", "luafilesystem", "argparse"}
build = {
    type = "make",
    build_variables = {LUA_INCDIR = "$(LUA_INCDIR)", CFLAGS = "", LUA = "$(LUA)"},
    install_variables = {LUA_SHARE = "$(LUADIR)", LUA_LIB = "$(LIBDIR)", BINDIR = "$(BINDIR)", SHARE = ""},
    copy_directories = {"docs", "examples"},
}
