owners hospital, vendor;
fixed(int = 16, frac = 16);
use nn::Linear;
use optim::sgd_momentum;

struct Net { fc1: Linear[4, 8], fc2: Linear[8, 3] }

fn step(net: Net, velocity: Net, g: Net) -> (Net, Net) {
    sgd_momentum(net, velocity, g, 0.1, momentum = 0.8)
}
entry nothing(x: fix from hospital) -> fix to hospital { x }
