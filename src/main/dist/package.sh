# Sourced by ./warpbert, whose functions and variables it uses: package [--without-cuda]
# makes target/warpbert-VERSION-linux-x86_64.tar.gz: WarpBERT, the jars that it runs with and a Java of its own, for a Linux
# that has neither Java nor a compiler.

cuda_library=$home/target/classes/org/warpbert/backend/linux-x86_64/libwarpbert_cuda.so

# trim JAR PATH...: the jar without these paths; jars carry libraries for other platforms and of functions not called here.
trim() {
    local jar_file=$1 folder=$work/trim
    shift
    rm -rf "$folder" && mkdir "$folder"
    (cd "$folder" && "$jdk/bin/jar" --extract --file "$jar_file" && rm -rf "$@" \
        && "$jdk/bin/jar" --create --no-manifest --file "$jar_file" .)
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
    local with_cuda=yes tool work root name archive libraries found commit
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

    # simt and what a build without CUDA holds of it are for those who change WarpBERT
    libraries=org/warpbert/backend/linux-x86_64
    if [ -n "$with_cuda" ]; then
        trim "$root/lib/$(basename "$jar")" "$libraries/libwarpbert_simt.so"
    else
        trim "$root/lib/$(basename "$jar")" "$libraries/libwarpbert_simt.so" "$libraries/libwarpbert_cuda.so"
    fi
    for found in "$root"/lib/tokenizers-*.jar; do
        trim "$found" native/lib/win-x86_64 native/lib/osx-aarch64 native/lib/linux-aarch64
    done
    for found in "$root"/lib/openblas-*-linux-x86_64.jar; do
        trim "$found" org/bytedeco/openblas/linux-x86_64/{include,libjniopenblas.so,libjniopenblas_full.so}
    done
    for found in "$root"/lib/cuda-*-linux-x86_64.jar; do
        trim "$found" org/bytedeco/cuda/linux-x86_64/libjni{cufft,cufftw,cufile,cupti,curand,cusolver,cusparse,nccl,npp*,nvblas,nvcomp,nvjpeg,nvml,nvrtc}.so
    done

    # jdk.crypto.ec is what TLS finds as a service: no class names it
    "$jdk/bin/jlink" --add-modules "$(modules),jdk.crypto.ec" --strip-java-debug-attributes --no-header-files --no-man-pages \
        --compress=0 --output "$root/runtime" >"$work/jlink.log" 2>&1 || fail "jlink of $jdk failed: $(head -n 1 "$work/jlink.log")"
    tar -C "$work" -cf - "$name" | gzip -9 >"$archive.partial"
    mv "$archive.partial" "$archive"
    rm -rf "$work"
    echo "$archive: $(($(stat -c %s "$archive") / 1000000)) MB$([ -n "$with_cuda" ] || echo ', without CUDA'). Unpack it anywhere and run bin/warpbert"
}
