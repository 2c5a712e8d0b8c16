# make          builds the module into build/            make test     all tests (installs what they need)
# make deps     installs the missing Debian packages     make demo     the main job, end to end (DATA=DIR: own images)
# make bench    timings beside PyTorch and oneDNN: bench/results (bench-images: beside OpenCV; bench-peers: larger networks;
#               bench-detectors, bench-opencl, bench-gpu)
# make demo-detect   a detector of boxes, trained on drawn phantoms
# make DEBUG=1  builds into build/debug, without optimisation and with assertions
# make install  PREFIX=/usr/local
# make test ONE=spec/nn_spec.lua CASE="pattern"   one file of tests, or one test
# make test JOBS=4   so many files of specs at a time
# make spec     the tests without the slow stages        make lint     luacheck, tools/check-layers, clang-format
# make format   lays out the C, by clang-format
# make oclgrind all kernels checked for data races and accesses outside buffers
# make fuzz     damaged image files through the readers   make fuzz-torch   damaged files of PyTorch's weights
# make fuzz-text  damaged reports, files of rules, tokenizers and CSV files through lx.text and lx.report
# make fuzz-darknet   damaged configurations and weights of darknet
# make corpora DIR=FOLDER   the readers beside those of others, over files of your own
# make faults   every allocation and every call for a file of the module fails once, and all after it (FAULTS_ONLY=PATTERN,
#               FAULTS_STRIDE=N: each N-th)
# make mutate   changes of the code that no test notices (MUTATE_ARGS="--from 1 --to 50": a part of it)
# make models   all networks beside torchvision's: at 224 pixels on the cpu, at 64 on OpenCL in both forms (MODELS="^vgg": some)
# make coverage which lines of csrc and lua no spec runs
# make reference  the pages of docs/api and what editors complete names from, out of the annotations in lua/
# make test-arm64   some specs on arm64, in QEMU (ARM64_SPECS="spec/x_spec.lua": others)
# make docs     HTML of the README and docs/ into build/docs
# make clean    removes build/                           eval "$(make -s env)"  uses this checkout from any directory

CC ?= cc
DEBUG ?=
BUILD ?= $(if $(DEBUG),build/debug,build)
PREFIX ?= /usr/local
LUA_VERSION ?= 5.4
LUA ?= lua$(LUA_VERSION)
LUA_INCDIR ?= $(firstword $(patsubst -I%,%,$(shell pkg-config --cflags-only-I lua$(LUA_VERSION) 2>/dev/null)) /usr/include/lua$(LUA_VERSION))
STB_INCDIR ?= /usr/include/stb
OPTIMIZE ?= $(if $(DEBUG),-O0 -g,-O3)
SANITIZE ?=
# Whether LX_ASSERT looks (csrc/base/invariant.h).
ASSERTS ?= $(if $(DEBUG)$(SANITIZE),1)

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror
COMMON = -std=gnu11 -fPIC -fvisibility=hidden $(WARNINGS) $(OPTIMIZE) $(SANITIZE) -MMD -MP
# ffp-contract=off: what is compiled for several instruction sets (LX_WIDE) is to give the same bits with each. Nobody reads
# errno or the flags of floating point, which keep loops from becoming vectors. Headers of others come by -isystem: a warning
# in one of them is no error of Luxel's.
CFLAGS_ALL = $(COMMON) -ffp-contract=off -fno-math-errno -fno-trapping-math -isystem$(LUA_INCDIR) -isystem$(STB_INCDIR) \
	$(if $(ASSERTS),-DLX_CHECKED) $(CFLAGS)
# nodelete: lua_close unloads modules, but a thread of an OpenCL driver may be about to call what it was given.
LDFLAGS_ALL = -shared -Wl,-z,nodelete $(SANITIZE) $(LDFLAGS)
LDLIBS = -lm -lpthread -ldl

# Libraries that read image files, where they are: $(1) tells the code so, $(2) is the module of pkg-config.
LIBRARIES ?= libjpeg spng libtiff-4 libopenjp2 charls zlib
optional = $(if $(and $(filter $(2),$(LIBRARIES)),$(shell pkg-config --exists $(2) 2>/dev/null && echo yes)),\
	$(eval CFLAGS_ALL += -D$(1) $(patsubst -I%,-isystem%,$(shell pkg-config --cflags $(2))))$(eval LDLIBS += $(shell pkg-config --libs $(2))))
$(call optional,LX_LIBJPEG,libjpeg)
$(call optional,LX_SPNG,spng)
$(call optional,LX_LIBTIFF,libtiff-4)
$(call optional,LX_OPENJPEG,libopenjp2)
$(call optional,LX_CHARLS,charls)
$(call optional,LX_ZLIB,zlib)

# Kernels: one text, compiled once for each instruction set. NaN and infinity keep their meaning. A kernel need not
# use all of its ids.
KERNEL_FLAGS = $(COMMON) -x c -Wpadded -ffp-contract=fast -fno-math-errno -fno-trapping-math -Wno-unused-parameter $(KERNEL_WARNINGS)
ifneq ($(findstring clang,$(shell $(CC) --version 2>/dev/null)),)
KERNEL_WARNINGS = -Wno-pass-failed
endif
ifneq ($(filter x86_64 amd64,$(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1)),)
ISAS = base avx2 avx512
FLAGS_base = -DLX_ISA=base -DLANES=4 -march=x86-64
FLAGS_avx2 = -DLX_ISA=avx2 -DLANES=8 -march=x86-64-v3
FLAGS_avx512 = -DLX_ISA=avx512 -DLANES=16 -march=x86-64-v4 -mprefer-vector-width=512
else
ISAS = base
FLAGS_base = -DLX_ISA=base -DLANES=4
endif

SOURCES = $(wildcard csrc/*/*.c csrc/*/*/*.c)
KERNELS = $(wildcard kernels/*.cl)
OBJECTS = $(SOURCES:%.c=$(BUILD)/obj/%.o) $(foreach isa,$(ISAS),$(KERNELS:kernels/%.cl=$(BUILD)/obj/kernels/$(isa)/%.o))
MODULE = $(BUILD)/luxel/core.so

all: $(MODULE)

# Objects are compiled again where the flags change, as they do when a library that reads images appears.
FLAGS = $(BUILD)/flags
WITH = $(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(LDLIBS)
ifneq ($(file <$(FLAGS)),$(WITH))
$(FLAGS): FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(WITH))' >$@
endif

# V=1 shows the commands.
Q = $(if $(V),,@echo "  $(@:$(BUILD)/%=%)";)

$(MODULE): $(OBJECTS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS)

$(BUILD)/obj/%.o: %.c Makefile $(FLAGS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -c $< -o $@

# The assembler embeds the text of the kernels, which the compiler does not see as a dependency.
KERNEL_FILES = $(wildcard $(addprefix kernels/,*.cl *.h simt/*.cl simt/*.h dialect/opencl.h))
text_of = X($(subst /,_,$(subst .,_,$(1))),"$(1)")
$(BUILD)/obj/csrc/device/opencl/sources.o: CFLAGS_ALL += '-DKERNEL_TEXTS(X)=$(foreach file,$(KERNEL_FILES:kernels/%=%),$(call text_of,$(file)))'
$(BUILD)/obj/csrc/device/opencl/sources.o: $(KERNEL_FILES)

# Layers with a row of their own in the table.
LAYER_FILES = $(wildcard csrc/ops/layers/*.c)
$(BUILD)/obj/csrc/ops/layer_table.o: CFLAGS_ALL += '-DLAYERS(X)=$(LAYER_FILES:csrc/ops/layers/%.c=X(%))'
$(BUILD)/obj/csrc/ops/layer_table.o: $(LAYER_FILES)

define kernel_rule
$(BUILD)/obj/kernels/$(1)/%.o: kernels/%.cl Makefile $(FLAGS)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(KERNEL_FLAGS) $$(FLAGS_$(1)) -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call kernel_rule,$(isa))))

-include $(OBJECTS:.o=.d)

# What `env` prints. Recipes do not call `env`: make runs lines with a call of itself also where -n was given.
HERE = export LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$${LUA_PATH:-;;}" \
	LUA_CPATH="$(abspath $(BUILD))/?.so;$${LUA_CPATH:-;;}"

env:
	@echo '$(HERE)'

# ---- set-up: what promises it calls make again afterwards, so that the compiler is looked for once it is there ----

PACKAGES = gcc make pkg-config lua5.4 liblua5.4-dev libstb-dev libjpeg62-turbo-dev libspng-dev libtiff-dev libopenjp2-7-dev libcharls-dev zlib1g-dev opencl-c-headers lua-argparse lua-filesystem
TEST_PACKAGES = lua-busted lua-check lua-cjson clang clang-format libclang-rt-14-dev valgrind luarocks locales ocl-icd-libopencl1 pocl-opencl-icd oclgrind

deps:
	@./tools/install-packages $(PACKAGES)

deps-test:
	@./tools/install-packages $(PACKAGES) $(TEST_PACKAGES)

# ---- the main job -----------------------------------------------------------------------------------------------

DATA ?=
DEMO_OUT ?= runs/demo
DEMO_ARGS ?=

demo: deps
	@$(MAKE) --no-print-directory all
	@$(HERE); LUA=$(LUA) ./examples/chest_xray/demo "$(DEMO_OUT)" "$(DATA)" $(DEMO_ARGS)

DETECT_OUT ?= runs/demo-detect
DETECT_ARGS ?=

demo-detect: deps
	@$(MAKE) --no-print-directory all
	@$(HERE); LUA=$(LUA) ./examples/detect/demo "$(DETECT_OUT)" $(DETECT_ARGS)

# ---- tests ------------------------------------------------------------------------------------------------------

# JOBS: files of specs that run at a time.
JOBS ?= 1
export JOBS
# ONE=spec/x_spec.lua: this file alone, installing nothing; CASE="pattern": those of its tests whose names match it.
ONE ?=
CASE ?=
ifneq ($(ONE),)
test: all
	@$(HERE); LUA=$(LUA) ./spec/run one
else
test: deps-test
	@$(MAKE) --no-print-directory all
	@$(HERE); LUA=$(LUA) ./spec/run all
endif

spec: all
	@$(HERE); LUA=$(LUA) ./spec/run quick

# All cases in Oclgrind, with vectors of every width; `make test` runs few of them.
oclgrind: deps-test
	@$(MAKE) --no-print-directory all
	@$(HERE); LUA=$(LUA) ./spec/oclgrind all

# Damaged image files through the readers, under AddressSanitizer: mutations of spec/fuzz/corpus, the same each time; then,
# where clang is, libFuzzer. Allocations are compared with what the file's header allows; nothing may ask for more
# than the sanitizer gives at once.
FUZZ_COUNT ?= 100000
FUZZ_RUNS ?= 100000
FUZZ_SOURCES = spec/fuzz/read.c $(filter-out csrc/format/stb.c,$(wildcard csrc/format/*.c csrc/image/*.c)) \
	$(addprefix csrc/base/,checksum.c error.c file.c memory.c)
FUZZ_FLAGS = -std=gnu11 -O1 -g $(filter -DLX_% -isystem%,$(CFLAGS_ALL)) -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
FUZZ_ASAN = ASAN_OPTIONS=max_allocation_size_mb=2000

# $(1): compiler, $(2): what else it is told. stb_image shifts by 32 bits where the codes of a JPEG run out, which has no
# meaning in C and does no harm in a picture that is damaged anyway.
fuzz_build = mkdir -p $(@D) && $(1) $(FUZZ_FLAGS) $(2) -fno-sanitize=shift -c csrc/format/stb.c -o $@.stb.o && \
	$(1) $(FUZZ_FLAGS) $(2) -o $@ $(FUZZ_SOURCES) $@.stb.o $(LDLIBS)

$(BUILD)/fuzz/read: Makefile $(FUZZ_SOURCES) csrc/format/stb.c $(wildcard csrc/format/*.h csrc/image/*.h)
	$(Q)$(call fuzz_build,$(CC),)

$(BUILD)/fuzz/libfuzzer: Makefile $(FUZZ_SOURCES) csrc/format/stb.c $(wildcard csrc/format/*.h csrc/image/*.h)
	$(Q)$(call fuzz_build,clang,-DLIBFUZZER -fsanitize=fuzzer)

fuzz: deps-test
	@$(MAKE) --no-print-directory $(BUILD)/fuzz/read $(BUILD)/fuzz/libfuzzer
	$(FUZZ_ASAN) $(BUILD)/fuzz/read spec/fuzz/corpus $(FUZZ_COUNT)
	@mkdir -p $(BUILD)/fuzz/found
	$(FUZZ_ASAN) $(BUILD)/fuzz/libfuzzer -runs=$(FUZZ_RUNS) -max_len=65536 -rss_limit_mb=3000 -artifact_prefix=$(BUILD)/fuzz/ \
		$(BUILD)/fuzz/found spec/fuzz/corpus

# Damaged files of torch.save, and of darknet, through their readers, in the module that is built with sanitizers.
FUZZ_TORCH_COUNT ?= 10000
FUZZ_DARKNET_COUNT ?= 10000

fuzz-torch fuzz-darknet: fuzz-%: deps-test
	@$(MAKE) --no-print-directory all BUILD=$(BUILD)/sanitize OPTIMIZE=-O1 \
		SANITIZE="-g -fsanitize=address,undefined -fno-sanitize-recover=undefined"
	@$(HERE); LUA_CPATH="$(abspath $(BUILD))/sanitize/?.so;;" ASAN_OPTIONS=max_allocation_size_mb=256 \
		LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
		LSAN_OPTIONS="use_tls=0:print_suppressions=0:suppressions=$(CURDIR)/spec/support/leaks.txt" \
		$(LUA) spec/fuzz/$*.lua $(if $(filter torch,$*),$(FUZZ_TORCH_COUNT),$(FUZZ_DARKNET_COUNT))

# Damaged reports and rules: all of it Lua.
fuzz-text: all
	@$(HERE); $(LUA) spec/fuzz/text.lua

# Each n: the n-th allocation or call for a file fails in a script that touches everything. `make test` runs some of them.
FAULTS_STRIDE ?= 1

$(BUILD)/faults/faults.so: spec/faults/shim.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O1 -g -fPIC -shared -fno-optimize-sibling-calls $(WARNINGS) -isystem$(LUA_INCDIR) -o $@ $< -ldl -lpthread

faults: deps-test
	@$(MAKE) --no-print-directory all $(BUILD)/faults/faults.so
	@$(HERE); LUA=$(LUA) $(LUA) spec/faults/run.lua $(abspath $(BUILD))/faults/faults.so $(FAULTS_STRIDE)

# The values of networks beside those of spec/golden/make_models.py: some minutes, and up to 8 GB for VGG.
MODELS ?= .
BUSTED_MODELS = LUXEL_MODELS="$(MODELS)" $(LUA) /usr/bin/busted --output=plainTerminal spec/models_spec.lua
models: deps-test
	@$(MAKE) --no-print-directory all
	@$(HERE); LUXEL_MODELS_SIZE=224 $(BUSTED_MODELS)
	@$(HERE); LUXEL_TEST_DEVICE=opencl LUXEL_OPENCL_FORM=tile $(BUSTED_MODELS)
	@$(HERE); LUXEL_TEST_DEVICE=opencl LUXEL_OPENCL_FORM=simt $(BUSTED_MODELS)

# Mutation testing: 300 changes of the code, drawn by chance, each of which some test is to notice. Takes hours, and may be
# ended and gone on with at any time; spec/mutate/survivors.md says what was not noticed, and why.
MUTATE_ARGS ?=

mutate: deps-test
	@LUA=$(LUA) $(LUA) spec/mutate/run.lua $(MUTATE_ARGS)

# The readers of images beside those of pydicom and Pillow, over a folder of one's own: make corpora DIR=FOLDER
corpora: deps
	@[ -n "$(DIR)" ] || { echo "make corpora DIR=FOLDER: a folder of image files" >&2; exit 2; }
	@./tools/install-packages python3-numpy python3-pil python3-pydicom python3-gdcm python3-tifffile
	@$(MAKE) --no-print-directory all
	@$(HERE); /usr/bin/python3 spec/corpora/compare.py --lua $(LUA) "$(DIR)"

# Which lines of csrc and lua no spec runs: shares by folder, and build/coverage/{csrc,lua}.txt. Kernels are not counted.
COVERAGE = $(BUILD)/coverage
COVERED = CFLAGS="-O1 -g --coverage -fprofile-update=atomic $(CFLAGS)" LDFLAGS="--coverage $(LDFLAGS)"

$(COVERAGE)/lines.so: tools/coverage/lines.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -fPIC -shared $(WARNINGS) -isystem$(LUA_INCDIR) -o $@ $<

coverage: deps-test
	@$(MAKE) --no-print-directory all BUILD=$(COVERAGE)/module $(COVERED)
	@$(MAKE) --no-print-directory all BUILD=$(COVERAGE)/bare LIBRARIES= $(COVERED)
	@$(MAKE) --no-print-directory $(COVERAGE)/lines.so
	@$(HERE); LUA=$(LUA) ./tools/coverage/run $(abspath $(COVERAGE))

# Some specs on arm64, in QEMU: minutes.
ARM64_SPECS ?= spec/tensor_spec.lua spec/operations_spec.lua spec/winograd_spec.lua

test-arm64: deps-test
	@./tools/install-packages gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
	@$(HERE); ./tools/arm64 $(BUILD)/arm64 $(ARM64_SPECS)

lint:
	luacheck --quiet lua examples spec bench tools tools/check-layers bin/luxel
	$(LUA) tools/check-layers
	@if command -v clang-format >/dev/null; then clang-format --dry-run -Werror $(C_FILES); fi

# Lays out the C (but for the kernels, whose macros clang-format does not see through); lint looks whether it is.
C_FILES = $(wildcard csrc/*/*.[ch] csrc/*/*/*.[ch] spec/*/*.c tools/coverage/*.c bench/*.c bench/peers/*.c)
format:
	@command -v clang-format >/dev/null || { echo "make format: please install clang-format" >&2; exit 1; }
	clang-format -i $(C_FILES)

# ---- documentation ----------------------------------------------------------------------------------------------

reference: all
	@$(HERE); LUA_PATH="./?.lua;$$LUA_PATH" $(LUA) tools/reference.lua

docs:
	@./tools/install-packages cmark-gfm
	./tools/html $(abspath $(BUILD))/docs

deps-bench:
	@./tools/install-packages $(PACKAGES) lua-cjson python3-torch libopenblas0-pthread libdnnl-dev

# What the machine can do at most, and oneDNN where it is installed.
BENCH_CFLAGS = -std=gnu11 -O3 -march=native -fopenmp $(WARNINGS)
ifneq ($(filter x86_64 amd64,$(shell $(CC) -dumpmachine 2>/dev/null | cut -d- -f1)),)
BENCH_CFLAGS += -mprefer-vector-width=512
endif
bench-tools: $(BUILD)/bench/peak $(if $(wildcard /usr/include/oneapi/dnnl/dnnl.h /usr/include/dnnl.h),$(BUILD)/bench/dnnl_bench)

$(BUILD)/bench/peak: bench/peak.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $<

$(BUILD)/bench/dnnl_bench: bench/peers/dnnl_bench.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $< -ldnnl

bench: deps-bench
	@$(MAKE) --no-print-directory all bench-tools
	@$(HERE); $(LUA) bench/run.lua --tools $(BUILD)/bench $(BENCH_ARGS)

# Training steps of larger networks beside today's PyTorch, from PyPI (some gigabytes, because its wheel wants CUDA's libraries
# also where there is no GPU).
PEERS = $(BUILD)/peers
bench-peers: deps-bench
	@./tools/install-packages python3-venv
	@[ -x $(PEERS)/bin/python ] || /usr/bin/python3 -m venv $(PEERS)
	@$(PEERS)/bin/pip install -q torch==2.15.0 torchvision timm numpy
	@$(MAKE) --no-print-directory all bench-tools
	@$(HERE); $(LUA) bench/run.lua --tools $(BUILD)/bench --python $(PEERS)/bin/python --peers torch,torch-bf16,torch-compile \
		--what resnet18_step,resnet50,densenet121,unet,mobilenet_v2,efficientnet_lite0 --out bench/results/networks.md $(BENCH_ARGS)

# Detectors beside PyTorch and OpenVINO.
bench-detectors: deps-bench
	@./tools/install-packages python3-venv
	@[ -x $(PEERS)/bin/python ] || /usr/bin/python3 -m venv $(PEERS)
	@$(PEERS)/bin/pip install -q torch==2.15.0 openvino numpy
	@$(MAKE) --no-print-directory all bench-tools
	@$(HERE); $(LUA) bench/run.lua --tools $(BUILD)/bench --python $(PEERS)/bin/python --peers torch,openvino \
		--what yolov2_tiny,yolov2,nms --out bench/results/detectors.md $(BENCH_ARGS)

# The same networks through OpenCL on the processor (PoCL), beside the cpu device.
bench-opencl: deps-test
	@$(MAKE) --no-print-directory all
	@$(HERE); $(LUA) bench/run.lua --device opencl --peers cpu --what step,cnn \
		--out bench/results/opencl-cpu.md $(BENCH_ARGS)

# Images beside OpenCV, pydicom and gdcm, and what feeding a network costs.
bench-images:
	@./tools/install-packages $(PACKAGES) python3-opencv python3-pydicom python3-gdcm
	@$(MAKE) --no-print-directory all
	@$(HERE); LUA=$(LUA) ./bench/images

# On a GPU: tests, then timings beside PyTorch with CUDA where it is installed.
bench-gpu: deps-test
	@$(MAKE) --no-print-directory all
	@$(HERE); LUA=$(LUA) ./bench/gpu

# ---- installing -------------------------------------------------------------------------------------------------

# A rock has folders of its own for the module; the command then goes where LuaRocks wants it, and has neither a page nor
# completions.
LUA_SHARE = $(DESTDIR)$(PREFIX)/share/lua/$(LUA_VERSION)
LUA_LIB = $(DESTDIR)$(PREFIX)/lib/lua/$(LUA_VERSION)
BINDIR = $(DESTDIR)$(PREFIX)/bin
SHARE = $(DESTDIR)$(PREFIX)/share

install: all
	cd lua && find luxel \( -name '*.lua' -o -name '*.rules' \) -exec install -D -m 644 {} $(LUA_SHARE)/{} \;
	install -D -m 755 $(MODULE) $(LUA_LIB)/luxel/core.so
	install -D -m 755 bin/luxel $(BINDIR)/luxel
ifneq ($(SHARE),)
	install -D -m 644 examples/chest_xray/model.safetensors $(SHARE)/luxel/chest_xray.safetensors
	@mkdir -p $(SHARE)/man/man1 $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions
	@$(HERE); $(LUA) tools/command-files manual >$(SHARE)/man/man1/luxel.1 && \
		$(LUA) tools/command-files bash >$(SHARE)/bash-completion/completions/luxel && \
		$(LUA) tools/command-files zsh >$(SHARE)/zsh/site-functions/_luxel
endif

clean:
	rm -rf $(BUILD)

FORCE:

.PHONY: FORCE reference docs corpora all env deps deps-test deps-bench demo demo-detect test spec oclgrind fuzz fuzz-text fuzz-torch fuzz-darknet faults mutate models coverage test-arm64 lint format bench bench-tools bench-detectors bench-opencl bench-images bench-gpu install clean
