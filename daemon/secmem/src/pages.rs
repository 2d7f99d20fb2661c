//! Runs of pages for secrets, and how well the kernel hides them.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::{NonNull, null_mut};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, munmap};

use crate::arena::Backing;

/// A private mapping of zeroed pages, unmapped when dropped. Whoever owns it clears it before.
pub(crate) struct Pages {
    start: NonNull<u8>,
    len: usize,
    backing: Backing,
}

// SAFETY: a mapping belongs to the process, not to a thread; `Pages` is its only owner and gives out no references.
unsafe impl Send for Pages {}

impl Pages {
    /// At least `len` bytes, on the best backing that the kernel gives.
    ///
    /// Ends the process when there is no address space left, as every allocation does.
    pub(crate) fn map(len: usize) -> Self {
        let len = len.next_multiple_of(rustix::param::page_size());
        if let Ok(start) = map_secret(len) {
            return Self { start, len, backing: Backing::MemfdSecret };
        }
        match map_locked(len) {
            Ok((start, backing)) => Self { start, len, backing },
            Err(_) => std::alloc::handle_alloc_error(std::alloc::Layout::new::<u64>()),
        }
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn backing(&self) -> Backing {
        self.backing
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: start and len are exactly what mmap gave, and nothing points in here once the owner drops it.
        // An error can only mean that they are not, and there is nobody to tell in a drop.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast::<c_void>(), self.len) };
        debug_assert!(unmapped.is_ok());
    }
}

/// Pages outside the kernel's direct map. They are locked by nature, count against RLIMIT_MEMLOCK, and never dumped.
fn map_secret(len: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: the system call takes one flag and no pointer.
    let raw = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    let raw = i32::try_from(raw).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: the kernel just gave this descriptor to us alone.
    let file = unsafe { OwnedFd::from_raw_fd(raw) };
    rustix::fs::ftruncate(&file, len as u64)?;
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing. It outlives the descriptor.
    let start =
        unsafe { mmap(null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)? };
    let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
    // The mapping is shared by kind, so a forked child would see it: keep it out of children.
    // SAFETY: the range is the mapping made above.
    if let Err(error) = unsafe { madvise(start.as_ptr().cast::<c_void>(), len, Advice::LinuxDontFork) } {
        // SAFETY: as above, and nobody has seen its address.
        unsafe { munmap(start.as_ptr().cast::<c_void>(), len)? };
        return Err(error.into());
    }
    Ok(start)
}

fn map_locked(len: usize) -> io::Result<(NonNull<u8>, Backing)> {
    // SAFETY: a new anonymous mapping at an address of the kernel's choice overlaps nothing.
    let start =
        unsafe { mmap_anonymous(null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)? };
    // SAFETY: the range is the mapping made above; none of the three calls changes what it holds.
    let hidden = unsafe {
        madvise(start, len, Advice::LinuxDontDump)
            .and_then(|()| madvise(start, len, Advice::LinuxWipeOnFork))
            .and_then(|()| mlock(start, len))
    };
    let backing = if hidden.is_ok() { Backing::Locked } else { Backing::Plain };
    let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
    Ok((start, backing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fallback_is_locked_and_kept_out_of_dumps_and_children() {
        let (start, backing) = map_locked(4096).expect("pages");
        assert_eq!(backing, Backing::Locked);
        let flags = vm_flags(start.as_ptr() as usize);
        for flag in ["lo", "dd", "wf"] {
            assert!(flags.split(' ').any(|f| f == flag), "{flag} is missing in {flags}");
        }
        let pages = Pages { start, len: 4096, backing };
        drop(pages);
    }

    #[test]
    fn secret_pages_are_kept_out_of_children() {
        let pages = Pages::map(1);
        if pages.backing() == Backing::MemfdSecret {
            let flags = vm_flags(pages.start().as_ptr() as usize);
            assert!(flags.split(' ').any(|f| f == "dc"), "{flags}");
        }
    }

    /// The kernel's flags of the mapping that begins at `start`: proc(5), smaps.
    fn vm_flags(start: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("smaps");
        let mut ours = false;
        for line in maps.lines() {
            if let Some((range, _)) = line.split_once(' ')
                && let Some((from, to)) = range.split_once('-')
                && let (Ok(from), Ok(to)) = (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
            {
                ours = (from..to).contains(&start);
            }
            if ours && let Some(flags) = line.strip_prefix("VmFlags: ") {
                return flags.trim().to_owned();
            }
        }
        panic!("no such mapping");
    }
}
