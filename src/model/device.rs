//! Devices and back ends; the only page that names them.
use burn::tensor::Device;

use super::ModelError;

const CPU: &str = "cpu";

/// The device a user asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first CUDA device if there is one, else the CPU.
    #[default]
    Auto,
    Cpu,
    /// CUDA devices by index; the first does what only one can do.
    Cuda(Vec<usize>),
}

impl std::str::FromStr for DeviceChoice {
    type Err = ModelError;

    fn from_str(name: &str) -> Result<Self, ModelError> {
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(vec![0])),
            other => {
                let indices = other.strip_prefix("cuda:").map(|list| list.split(',').map(str::parse).collect());
                match indices {
                    Some(Ok(indices)) => Ok(Self::Cuda(indices)),
                    _ => Err(ModelError::UnknownDevice { name: name.to_owned() }),
                }
            }
        }
    }
}

/// An opened device, with others of its kind that share the work of training.
#[derive(Debug, Clone)]
pub struct ComputeDevice {
    device: Device,
    name: String,
    others: Vec<ComputeDevice>,
}

impl ComputeDevice {
    /// Opens the device of choice; a CUDA device that is not there is an error, never a silent fall-back.
    pub fn open(choice: DeviceChoice) -> Result<Self, ModelError> {
        match choice {
            DeviceChoice::Cpu => Ok(Self::cpu()),
            DeviceChoice::Cuda(indices) => {
                let mut devices = indices.into_iter().map(cuda).collect::<Result<Vec<_>, _>>()?.into_iter();
                let first = devices.next().ok_or_else(|| ModelError::UnknownDevice { name: "cuda:".to_owned() })?;
                Ok(Self { others: devices.collect(), ..first })
            }
            DeviceChoice::Auto => Ok(cuda(0).unwrap_or_else(|_| Self::cpu())),
        }
    }

    /// Names of all devices of this machine.
    pub fn names() -> Vec<String> {
        let cuda = (0..cuda_count()).map(|index| format!("cuda:{index}"));
        std::iter::once(CPU.to_owned()).chain(cuda).collect()
    }

    /// The CPU.
    pub fn cpu() -> Self {
        Self { device: Device::flex(), name: CPU.to_owned(), others: Vec::new() }
    }

    /// This one and the others, in order.
    pub fn each(&self) -> Vec<Self> {
        std::iter::once(self).chain(&self.others).map(|device| Self { others: Vec::new(), ..device.clone() }).collect()
    }

    /// `cpu` or `cuda:N`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether our own products run instead of Burn's.
    pub(crate) fn is_cpu(&self) -> bool {
        self.name == CPU
    }

    /// The plain device, for inference.
    pub(crate) fn plain(&self) -> Device {
        self.device.clone()
    }

    /// The device with gradients, for training.
    pub(crate) fn autodiff(&self) -> Device {
        self.device.clone().autodiff()
    }

    /// Runs two independent pieces of work: side by side on a CPU, one after the other where one device serves both.
    pub(crate) fn join<A: Send, B>(&self, first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B) -> (A, B) {
        if !self.is_cpu() {
            return (first(), second());
        }
        std::thread::scope(|scope| {
            let first = scope.spawn(first);
            let second = second();
            match first.join() {
                Ok(first) => (first, second),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Seeds the device's own generator (dropout).
    pub fn seed(&self, seed: u64) {
        self.device.seed(seed);
    }
}

#[cfg(feature = "cuda")]
fn cuda_count() -> usize {
    Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec().len()
}

#[cfg(not(feature = "cuda"))]
fn cuda_count() -> usize {
    0
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<ComputeDevice, ModelError> {
    let name = format!("cuda:{index}");
    let found = cuda_count();
    if index >= found {
        let reason = format!("{found} CUDA devices were found");
        return Err(ModelError::MissingDevice { name, reason });
    }
    Ok(ComputeDevice { device: Device::cuda(index), name, others: Vec::new() })
}

#[cfg(not(feature = "cuda"))]
fn cuda(index: usize) -> Result<ComputeDevice, ModelError> {
    Err(ModelError::MissingDevice {
        name: format!("cuda:{index}"),
        reason: "this binary was built without the feature `cuda`".to_owned(),
    })
}
