// Who reads and who changes the variables of an executable. A reader sees one state however long
// it reads: the state between two steps of training. A change waits for readers, and readers for
// the change; both queue, so that neither waits for ever.
#pragma once

#include <mutex>
#include <shared_mutex>

namespace nnrt {

class StateLock {
 public:
  // While one lives, nothing changes the variables. A thread may nest them.
  class Reading {
   public:
    explicit Reading(StateLock& lock);
    ~Reading();
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    StateLock& lock_;
    bool first_;  // of this thread: the others rely on it
  };

  // While one lives, this thread alone reads and changes the variables. Throws Error in a thread
  // that is reading them, which would wait for itself.
  class Changing {
   public:
    explicit Changing(StateLock& lock);
    ~Changing() { lock_.state_.unlock(); }
    Changing(const Changing&) = delete;
    Changing& operator=(const Changing&) = delete;

   private:
    StateLock& lock_;
  };

  // In a child process, which has no other thread: what others held is free again.
  void renew();

 private:
  std::mutex queue_;
  std::shared_mutex state_;
};

}  // namespace nnrt
