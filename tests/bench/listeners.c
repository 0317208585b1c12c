// Holds many SSE connections on one core and counts their events, so that the load client is not the bottleneck.
// usage: listeners HOST PORT CONNECTIONS PATH [HEADER: VALUE]
// Prints "open N" when every connection has its response, then a line "EVENTS BYTES" for each line on standard input,
// and ends at its end. An event is counted at its blank line.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct { int fd; char last; char opened; } Conn;

static long long events, bytes;
static int opened;
static char buffer[1 << 18];

static int connect_one(const struct sockaddr_in *address, const char *request, size_t length) {
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) {
    fprintf(stderr, "connect: %s\n", strerror(errno));
    exit(1);
  }
  if (write(fd, request, length) != (ssize_t)length) {
    fprintf(stderr, "write: %s\n", strerror(errno));
    exit(1);
  }
  fcntl(fd, F_SETFL, O_NONBLOCK);
  return fd;
}

static void count(Conn *c, const char *p, ssize_t n) {
  bytes += n;
  for (const char *end = p + n; p < end;) {
    if (c->last == '\n' && *p == '\n') events++;
    c->last = *p++;
    if (c->last != '\n') {
      const char *nl = memchr(p, '\n', end - p);
      if (!nl) { c->last = end[-1]; return; }
      p = nl;
    }
  }
}

static void read_some(Conn *c) {
  ssize_t n = read(c->fd, buffer, sizeof buffer);
  if (n == 0 || (n < 0 && errno != EAGAIN)) { fprintf(stderr, "a connection was closed\n"); exit(1); }
  if (n <= 0) return;
  if (!c->opened) {
    if (strncmp(buffer, "HTTP/1.1 200", 12)) { fprintf(stderr, "refused: %.60s\n", buffer); exit(1); }
    c->opened = 1;
    opened++;
  }
  count(c, buffer, n);
}

int main(int argc, char **argv) {
  if (argc < 5) { fprintf(stderr, "usage: listeners HOST PORT CONNECTIONS PATH [HEADER: VALUE]\n"); return 2; }
  int total = atoi(argv[3]);
  struct rlimit limit = { (rlim_t)total + 64, (rlim_t)total + 64 };
  setrlimit(RLIMIT_NOFILE, &limit);
  struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2])) };
  inet_pton(AF_INET, argv[1], &address.sin_addr);
  char request[8192];
  int length = snprintf(request, sizeof request,
    "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n%s%s\r\n",
    argv[4], argv[1], argc > 5 ? argv[5] : "", argc > 5 ? "\r\n" : "");
  int poll = epoll_create1(0);
  Conn *conns = calloc((size_t)total, sizeof *conns);
  struct epoll_event event, ready[512];
  int made = 0, announced = 0;
  event.events = EPOLLIN; event.data.ptr = NULL;
  epoll_ctl(poll, EPOLL_CTL_ADD, 0, &event);
  for (;;) {
    while (made < total && made - opened < 200) {
      Conn *c = &conns[made++];
      c->fd = connect_one(&address, request, (size_t)length);
      event.data.ptr = c;
      epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &event);
    }
    int n = epoll_wait(poll, ready, 512, -1);
    for (int i = 0; i < n; i++) {
      if (ready[i].data.ptr) { read_some(ready[i].data.ptr); continue; }
      char line[64];
      if (read(0, line, sizeof line) <= 0) return 0;
      printf("%lld %lld\n", events, bytes);
      fflush(stdout);
    }
    if (!announced && opened == total) { announced = 1; printf("open %d\n", opened); fflush(stdout); }
  }
}
