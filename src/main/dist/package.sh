# Sourced by ./warpbert, whose functions and variables it uses: package [--without-cuda]
# makes target/warpbert-VERSION-linux-x86_64.tar.gz: WarpBERT, the jars that it runs with and a Java of its own, for a Linux
# that has neither Java nor a compiler.

cuda_library=$home/target/classes/org/warpbert/backend/linux-x86_64/libwarpbert_cuda.so

# Paths in a jar that are of no use here: libraries for other platforms, and of functions that are not called.
unwanted() {
    local ours=org/warpbert/backend/linux-x86_64 openblas=org/bytedeco/openblas/linux-x86_64 cuda=org/bytedeco/cuda
    local other='cufft,cufftw,cufile,cupti,curand,cusolver,cusparse,nccl,nppc,nppial,nppicc,nppidei,nppif,nppig,nppim,nppist,nppisu,nppitc,npps,nvblas,nvcomp,nvjpeg,nvml,nvrtc'
    case $1 in
    warpbert-*) # simt is for those who change kernels
        echo "$ours/libwarpbert_simt.so"
        [ -n "$with_cuda" ] || echo "$ours/libwarpbert_cuda.so"
        ;;
    tokenizers-*) echo native/lib/{win-x86_64,osx-aarch64,linux-aarch64} ;;
    openblas-*-linux-x86_64.jar) echo "$openblas"/{include,libjniopenblas.so,libjniopenblas_full.so} ;;
    openblas-*) echo org/bytedeco/openblas/global/openblas{,_full}.class ;; # LAPACK
    jline-native-*) echo org/jline/nativ/{Windows,Mac,FreeBSD} org/jline/nativ/Linux/{arm,arm64,armv6,armv7,ppc64,x86} ;;
    cuda-*-linux-x86_64.jar) eval "echo $cuda/linux-x86_64/libjni{$other}.so" ;;
    cuda-*) eval "echo $cuda/global/{$other}.class" ;;
    jna-*)
        echo com/sun/jna/{aix,darwin,dragonflybsd,freebsd,openbsd,sunos,win32}-{aarch64,ppc,ppc64,sparc,sparcv9,x86,x86-64}
        echo com/sun/jna/linux-{aarch64,arm,armel,loongarch64,mips64el,ppc,ppc64le,riscv64,s390x,x86}
        ;;
    esac
}

# A jar without what is not wanted, and not compressed: the archive is, and packs classes better than a jar does.
repack() {
    local folder=$work/repack
    rm -rf "$folder" && mkdir "$folder"
    # shellcheck disable=SC2046 # several paths, without spaces
    (cd "$folder" && "$jdk/bin/jar" --extract --file "$1" && rm -rf $(unwanted "${1##*/}") \
        && "$jdk/bin/jar" --create --no-manifest --no-compress --file "$1" .)
}

# Modules of the JDK that our jars use: asked of all their classes together, as some jars are loaded by name only.
modules() {
    local folder=$work/classes file
    mkdir "$folder"
    find "$root/lib" -name '*.jar' | while IFS= read -r file; do
        (cd "$folder" && "$jdk/bin/jar" --extract --file "$file")
    done
    find "$folder" -name module-info.class -delete
    rm -rf "$folder/META-INF"
    "$jdk/bin/jdeps" --multi-release 17 --ignore-missing-deps --print-module-deps "$folder" | tail -n 1 # warnings come before
}

package() {
    local with_cuda=yes tool work root name archive file commit
    case "$*" in
    '') ;;
    --without-cuda) with_cuda='' ;;
    *) fail "usage: ./warpbert package [--without-cuda]" ;;
    esac
    jdk=$(readlink -f "$java")
    jdk=${jdk%/bin/java}
    for tool in javac jlink jdeps jar; do
        [ -x "$jdk/bin/$tool" ] || fail "$tool is needed to package and not in $jdk. On Debian: apt-get install openjdk-17-jdk-headless; or set JAVA_HOME to a JDK"
    done
    if [ -n "$with_cuda" ]; then
        command -v nvcc >/dev/null || fail "nvcc (CUDA 13) is needed for the GPU's kernels and not found on the PATH. For the CPU alone: ./warpbert package --without-cuda"
        if ! check_is_fresh || [ ! -f "$cuda_library" ] || [ "$cuda_library" -nt "$jar" ]; then
            rm -f "$stamp"
            build -Dcuda -Dcheck
        fi
    else
        is_fresh || build
    fi

    name=$(basename "$jar" .jar)-linux-x86_64
    archive=$home/target/$name.tar.gz
    work=$home/target/package.partial
    root=$work/$name
    rm -rf "$work"
    mkdir -p "$root/bin" "$root/lib"
    cp "$jar" "$home"/target/lib/*.jar "$root/lib"
    if [ -n "$with_cuda" ]; then # what gpu-check runs
        mkdir "$root/lib/check"
        cp "$home"/target/check/*.jar "$root/lib/check"
    fi
    cp "$home"/src/main/dist/{start.sh,java.options} "$root/lib"
    cp "$home/src/main/dist/warpbert" "$root/bin"
    cp "$home"/{LICENSE,README.md} "$home/src/main/dist/NOTICES.md" "$root"
    echo '-Dwarpbert.packaged=true' >>"$root/lib/java.options"
    if commit=$(git -C "$home" describe --always --abbrev=12 --dirty --exclude='*' 2>/dev/null); then
        echo "-Dwarpbert.commit=$commit" >>"$root/lib/java.options"
    fi
    [ "$version" -lt 22 ] || echo '--enable-native-access=ALL-UNNAMED' >>"$root/lib/java.options"

    for file in "$root"/lib/*.jar "$root"/lib/check/*.jar; do
        [ ! -f "$file" ] || repack "$file" # there is no lib/check without CUDA
    done

    # jdk.crypto.ec is what TLS finds as a service: no class names it
    "$jdk/bin/jlink" --add-modules "$(modules),jdk.crypto.ec" --strip-java-debug-attributes --no-header-files --no-man-pages \
        --compress=0 --output "$root/runtime" >"$work/jlink.log" 2>&1 || fail "jlink of $jdk failed: $(head -n 1 "$work/jlink.log" | cut -c 1-300)"
    rm -f "$root"/runtime/lib/lib{awt_xawt,jawt,jsound,splashscreen}.so # charts are drawn without a screen
    tar -C "$work" -cf - "$name" | gzip -9 >"$archive.partial"
    mv "$archive.partial" "$archive"
    rm -rf "$work"
    echo "$archive: $(($(stat -c %s "$archive") / 1000000)) MB$([ -n "$with_cuda" ] || echo ', without CUDA'). Unpack it anywhere and run bin/warpbert"
}
