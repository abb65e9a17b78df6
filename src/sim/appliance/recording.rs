//! Recordings that the simulated appliance can say.

/// Why a recording cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Not a WAV file.
    #[error("no WAV file: {0}")]
    Wav(#[from] hound::Error),
    /// Another format than the one that CIC wants.
    #[error("a recording must be 16 kHz, 16 bit, mono; this one is {0} Hz, {1} bit, {2} channels")]
    Format(u32, u16, u16),
}

/// Reads a recording (16 kHz, 16 bit, mono WAV) as raw PCM.
///
/// # Errors
/// See [`RecordingError`].
pub fn read_wav(bytes: &[u8]) -> Result<Vec<u8>, RecordingError> {
    let reader = hound::WavReader::new(bytes)?;
    let spec = reader.spec();
    if (spec.sample_rate, spec.bits_per_sample, spec.channels) != (16_000, 16, 1) {
        let (rate, bits, channels) = (spec.sample_rate, spec.bits_per_sample, spec.channels);
        return Err(RecordingError::Format(rate, bits, channels));
    }
    let samples = reader.into_samples::<i16>().collect::<Result<Vec<_>, _>>()?;
    Ok(samples.into_iter().flat_map(i16::to_le_bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::cic::scenario::embedded;

    #[test]
    fn only_recordings_that_cic_can_use_are_read() {
        let pcm = read_wav(embedded("speech/time.wav").unwrap()).unwrap();
        assert!(pcm.len() > 32_000 && pcm.len().is_multiple_of(2));
        assert!(matches!(read_wav(b"RIFF"), Err(RecordingError::Wav(_))));
        let mut other = std::io::Cursor::new(Vec::new());
        let spec = hound::WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        hound::WavWriter::new(&mut other, spec).unwrap().finalize().unwrap();
        let refused = read_wav(other.get_ref());
        assert!(matches!(refused, Err(RecordingError::Format(44_100, 16, 2))), "{refused:?}");
    }
}
