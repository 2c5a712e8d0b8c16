# make          builds the module into build/            make test     all tests (installs what they need)
# make deps     installs the missing Debian packages     make demo     the main job, end to end (DATA=DIR: own images)
# make bench    timings beside PyTorch and oneDNN: bench/results (bench-images: beside OpenCV; bench-opencl, bench-gpu)
# make install  PREFIX=/usr/local
# make spec     the tests without the slow stages        make lint     luacheck
# make oclgrind all kernels checked for data races and accesses outside buffers
# make fuzz     damaged image files through the readers
# make clean    removes build/                           eval "$(make -s env)"  uses this checkout from any directory

CC ?= cc
BUILD ?= build
PREFIX ?= /usr/local
LUA_VERSION ?= 5.4
LUA ?= lua$(LUA_VERSION)
LUA_INCDIR ?= $(firstword $(patsubst -I%,%,$(shell pkg-config --cflags-only-I lua$(LUA_VERSION) 2>/dev/null)) /usr/include/lua$(LUA_VERSION))
STB_INCDIR ?= /usr/include/stb
OPTIMIZE ?= -O3
SANITIZE ?=

WARNINGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror
COMMON = -std=gnu11 -fPIC -fvisibility=hidden $(WARNINGS) $(OPTIMIZE) $(SANITIZE) -MMD -MP
# ffp-contract=off: what is compiled for several instruction sets (LX_WIDE) is to give the same bits with each. Nobody reads
# errno or the flags of floating point, which keep loops from becoming vectors.
CFLAGS_ALL = $(COMMON) -ffp-contract=off -fno-math-errno -fno-trapping-math -fopenmp -I$(LUA_INCDIR) -I$(STB_INCDIR) $(CFLAGS)
# nodelete: lua_close unloads modules, but OpenMP's threads wait inside the library for more work.
LDFLAGS_ALL = -shared -fopenmp -Wl,-z,nodelete $(SANITIZE) $(LDFLAGS)
LDLIBS = -lm -lpthread -ldl

# JPEG 2000 inside DICOM files, where OpenJPEG is installed.
ifneq ($(shell pkg-config --exists libopenjp2 2>/dev/null && echo yes),)
CFLAGS_ALL += -DLX_OPENJPEG $(shell pkg-config --cflags libopenjp2)
LDLIBS += $(shell pkg-config --libs libopenjp2)
endif

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

SOURCES = $(wildcard csrc/*.c csrc/*/*.c csrc/*/*/*.c)
KERNELS = $(wildcard kernels/*.cl)
OBJECTS = $(SOURCES:%.c=$(BUILD)/obj/%.o) $(foreach isa,$(ISAS),$(KERNELS:kernels/%.cl=$(BUILD)/obj/kernels/$(isa)/%.o))
MODULE = $(BUILD)/luxel/core.so

all: $(MODULE)

# V=1 shows the commands.
Q = $(if $(V),,@echo "  $(@:$(BUILD)/%=%)";)

$(MODULE): $(OBJECTS)
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS)

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -c $< -o $@

# The assembler embeds the text of the kernels, which the compiler does not see as a dependency.
$(BUILD)/obj/csrc/device/opencl/sources.o: $(wildcard kernels/* kernels/simt/*)

define kernel_rule
$(BUILD)/obj/kernels/$(1)/%.o: kernels/%.cl Makefile
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(KERNEL_FLAGS) $$(FLAGS_$(1)) -c $$< -o $$@
endef
$(foreach isa,$(ISAS),$(eval $(call kernel_rule,$(isa))))

-include $(OBJECTS:.o=.d)

env:
	@echo 'export LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$${LUA_PATH:-;;}"'
	@echo 'export LUA_CPATH="$(abspath $(BUILD))/?.so;$${LUA_CPATH:-;;}"'

# ---- set-up: what promises it calls make again afterwards, so that the compiler is looked for once it is there ----

PACKAGES = gcc make pkg-config lua5.4 liblua5.4-dev libstb-dev libopenjp2-7-dev opencl-c-headers lua-argparse lua-filesystem lua-cjson
TEST_PACKAGES = lua-busted lua-check clang libomp-dev libclang-rt-14-dev valgrind luarocks ocl-icd-libopencl1 pocl-opencl-icd oclgrind

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
	@eval "$$($(MAKE) -s env)"; LUA=$(LUA) ./examples/chest_xray/demo "$(DEMO_OUT)" "$(DATA)" $(DEMO_ARGS)

# ---- tests ------------------------------------------------------------------------------------------------------

test: deps-test
	@$(MAKE) --no-print-directory all
	@eval "$$($(MAKE) -s env)"; LUA=$(LUA) ./spec/run all

spec: all
	@eval "$$($(MAKE) -s env)"; LUA=$(LUA) ./spec/run quick

# All cases in Oclgrind, with vectors of every width; `make test` runs few of them.
oclgrind: deps-test
	@$(MAKE) --no-print-directory all
	@eval "$$($(MAKE) -s env)"; LUA=$(LUA) ./spec/oclgrind all

# Damaged image files through the readers, under AddressSanitizer: mutations of spec/fuzz/corpus, the same each time; then,
# where clang is, libFuzzer for a while. Allocations are compared with what the file's header allows; nothing may ask for more
# than the sanitizer gives at once.
FUZZ_COUNT ?= 10000
FUZZ_SECONDS ?= 60
FUZZ_SOURCES = spec/fuzz/read.c $(filter-out csrc/image/stb.c,$(wildcard csrc/image/*.c)) csrc/data/file.c csrc/error.c
FUZZ_FLAGS = -std=gnu11 -O1 -g -I$(STB_INCDIR) $(filter -DLX_OPENJPEG -I%,$(CFLAGS_ALL)) -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
FUZZ_ASAN = ASAN_OPTIONS=max_allocation_size_mb=2000

# $(1): compiler, $(2): what else it is told. stb_image shifts by 32 bits where the codes of a JPEG run out, which has no
# meaning in C and does no harm in a picture that is damaged anyway.
fuzz_build = mkdir -p $(@D) && $(1) $(FUZZ_FLAGS) $(2) -fno-sanitize=shift -c csrc/image/stb.c -o $@.stb.o && \
	$(1) $(FUZZ_FLAGS) $(2) -o $@ $(FUZZ_SOURCES) $@.stb.o $(LDLIBS)

$(BUILD)/fuzz/read: Makefile $(FUZZ_SOURCES) csrc/image/stb.c $(wildcard csrc/image/*.h)
	$(Q)$(call fuzz_build,$(CC),)

$(BUILD)/fuzz/libfuzzer: Makefile $(FUZZ_SOURCES) csrc/image/stb.c $(wildcard csrc/image/*.h)
	$(Q)$(call fuzz_build,clang,-DLIBFUZZER -fsanitize=fuzzer)

fuzz: deps-test
	@$(MAKE) --no-print-directory $(BUILD)/fuzz/read $(BUILD)/fuzz/libfuzzer
	$(FUZZ_ASAN) $(BUILD)/fuzz/read spec/fuzz/corpus $(FUZZ_COUNT)
	@mkdir -p $(BUILD)/fuzz/found
	$(FUZZ_ASAN) $(BUILD)/fuzz/libfuzzer -max_total_time=$(FUZZ_SECONDS) -max_len=65536 -rss_limit_mb=3000 -artifact_prefix=$(BUILD)/fuzz/ \
		$(BUILD)/fuzz/found spec/fuzz/corpus

lint:
	luacheck --quiet lua examples spec bench

deps-bench:
	@./tools/install-packages $(PACKAGES) python3-torch libopenblas0-pthread libdnnl-dev

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
	@eval "$$($(MAKE) -s env)"; $(LUA) bench/run.lua --tools $(BUILD)/bench $(BENCH_ARGS)

# The same networks through OpenCL on the processor (PoCL), beside the cpu device.
bench-opencl: deps-test
	@$(MAKE) --no-print-directory all
	@eval "$$($(MAKE) -s env)"; $(LUA) bench/run.lua --device opencl --peers cpu --what step,cnn \
		--out bench/results/opencl-cpu.md $(BENCH_ARGS)

# Images beside OpenCV, and what feeding a network costs.
bench-images:
	@./tools/install-packages $(PACKAGES) python3-opencv
	@$(MAKE) --no-print-directory all
	@eval "$$($(MAKE) -s env)"; LUA=$(LUA) ./bench/images

# On a GPU: tests, then timings beside PyTorch with CUDA where it is installed.
bench-gpu: deps-test
	@$(MAKE) --no-print-directory all
	@eval "$$($(MAKE) -s env)"; LUA=$(LUA) ./bench/gpu

# ---- installing -------------------------------------------------------------------------------------------------

LUA_SHARE = $(DESTDIR)$(PREFIX)/share/lua/$(LUA_VERSION)
LUA_LIB = $(DESTDIR)$(PREFIX)/lib/lua/$(LUA_VERSION)

install: all
	cd lua && find luxel -name '*.lua' -exec install -D -m 644 {} $(LUA_SHARE)/{} \;
	install -D -m 755 $(MODULE) $(LUA_LIB)/luxel/core.so

clean:
	rm -rf $(BUILD)

.PHONY: all env deps deps-test deps-bench demo test spec oclgrind fuzz lint bench bench-tools bench-opencl bench-images bench-gpu install clean
