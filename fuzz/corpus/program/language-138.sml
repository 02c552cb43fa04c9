owners sensor, grid;

use nn::relu;

entry load(voltage: fix from sensor, gain: fix from grid) -> fix to grid {
    let scaled = voltage * gain;
    let power = scaled * scaled;
    relu(power) * 0.01
}