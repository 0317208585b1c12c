// The load client: holds many SSE connections in one process, counts what arrives and how late, and is never the
// bottleneck itself.
// usage: load HOST PORT PLAN
// PLAN is a file with a line for each connection: PATH, and after tabs its header lines. ":8001/path" is at another port.
//
// An event is counted by its mark, "@" and the 16 digits of the microsecond at which it was published (CLOCK_MONOTONIC),
// or, in the mode "blank", by the blank line that ends it. Commands come as lines on standard input, each gets one line:
//   mode mark|blank   how events are counted from now on
//   track 0|1         remember each connection's last "id:", which it sends as Last-Event-ID when it is opened again
//   open N            open the next N connections        -> N START END     (nanoseconds of CLOCK_MONOTONIC)
//   close             close all; "open" begins anew      -> N
//   wait EVENTS MS    until so many have arrived in all  -> EVENTS NOW
//   count             what has arrived                   -> EVENTS BYTES
//   histogram         how late it was, and forget that   -> MICROSECONDS:EVENTS ...
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 65536
#define WINDOW 200      // connections that wait for their response at the same time
#define DIGITS 16
#define SUB 32          // steps per doubling in the histogram: 3 % wide
#define BUCKETS (SUB * 40)
#define ID_MAX 96

typedef struct {
  int fd;
  char opened, last, column, in_id;  // column: how much of "id: " the present line has shown so far, -1 for none of it
  signed char digits;                // of a mark; -1 outside of one
  unsigned char id_length;
  long long stamp;
  char *id;
} Conn;

static Conn conns[CONNECTIONS];
static char **plan;
static int planned, made, opened, wanted, poll_fd, blank, track;
static long long events, bytes, opening_since, wait_for, wait_until;
static long long histogram[BUCKETS];
static char buffer[1 << 18];
static struct sockaddr_in address;
static const char *host;

static void fail(const char *what, const char *why) { fprintf(stderr, "load: %s: %s\n", what, why); exit(1); }

static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void record(long long us) {
  if (us < 0) us = 0;
  int shift = 0;
  while ((us >> shift) >= 2 * SUB) shift++;
  int bucket = shift * SUB + (int)(us >> shift);
  histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
}

static long long lower_edge(int bucket) {
  int shift = bucket < 2 * SUB ? 0 : bucket / SUB - 1;
  return (long long)(bucket - shift * SUB) << shift;
}

static void count_marks(Conn *c, const char *p, const char *end, long long us) {
  while (p < end) {
    if (c->digits < 0) {
      p = memchr(p, '@', (size_t)(end - p));
      if (!p) return;
      p++;
      c->digits = 0;
      c->stamp = 0;
    }
    while (p < end && c->digits < DIGITS && *p >= '0' && *p <= '9') {
      c->stamp = c->stamp * 10 + (*p++ - '0');
      c->digits++;
    }
    if (c->digits == DIGITS) { events++; record(us - c->stamp); c->digits = -1; }
    else if (p < end) c->digits = -1;
  }
}

static void count_blanks(Conn *c, const char *p, const char *end) {
  while (p < end) {
    if (c->last == '\n' && *p == '\n') events++;
    c->last = *p++;
    if (c->last == '\n') continue;
    const char *nl = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;
    if (!nl) { if (p < end) c->last = end[-1]; return; }
    c->last = '\n';
    p = nl;
    p++;
  }
}

static void follow_ids(Conn *c, const char *p, const char *end) {
  static const char name[] = "id: ";
  if (!c->id) c->id = calloc(1, ID_MAX);
  for (; p < end; p++) {
    if (*p == '\n' || *p == '\r') {
      c->column = 0;
      c->in_id = 0;
    } else if (c->in_id) {
      if (c->id_length < ID_MAX - 1) c->id[c->id_length++] = *p;
    } else if (c->column >= 0) {
      if (*p != name[(int)c->column]) c->column = -1;
      else if (++c->column == 4) { c->in_id = 1; c->id_length = 0; }
    }
  }
}

static void receive(Conn *c) {
  ssize_t n = read(c->fd, buffer, sizeof buffer);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) fail("a connection ended", n ? strerror(errno) : "the server closed it");
  const char *p = buffer, *end = buffer + n;
  if (!c->opened) {
    if (n < 12 || strncmp(buffer, "HTTP/1.1 200", 12)) { buffer[n < 200 ? n : 200] = 0; fail("refused", buffer); }
    c->opened = 1;
    opened++;
  }
  bytes += n;
  if (track) follow_ids(c, p, end);
  if (blank) count_blanks(c, p, end);
  else count_marks(c, p, end, now_ns() / 1000);
}

static void connect_next(void) {
  char request[8192];
  Conn *c = &conns[made];
  char *line = plan[made % planned];
  struct sockaddr_in target = address;
  if (*line == ':') target.sin_port = htons((unsigned short)strtol(line + 1, &line, 10));
  size_t path = strcspn(line, "\t");
  int length = snprintf(request, sizeof request, "GET %.*s HTTP/1.1\r\nHost: %s\r\nAccept: text/event-stream\r\n",
                        (int)path, line, host);
  for (line += path; *line; ) {
    size_t header = strcspn(++line, "\t");
    length += snprintf(request + length, sizeof request - (size_t)length, "%.*s\r\n", (int)header, line);
    line += header;
  }
  if (c->id && c->id_length)
    length += snprintf(request + length, sizeof request - (size_t)length, "Last-Event-ID: %.*s\r\n", c->id_length, c->id);
  length += snprintf(request + length, sizeof request - (size_t)length, "\r\n");
  if (length >= (int)sizeof request) fail("a request is too long", request);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&target, sizeof target) < 0) fail("connect", strerror(errno));
  if (write(c->fd, request, (size_t)length) != length) fail("write", strerror(errno));
  fcntl(c->fd, F_SETFL, O_NONBLOCK);
  c->opened = c->last = c->column = c->in_id = 0;
  c->digits = -1;
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, c->fd, &event);
  made++;
}

static void close_all(void) {
  for (int i = 0; i < made; i++) close(conns[i].fd);
  printf("%d\n", made);
  made = opened = wanted = 0;
}

static void tell_histogram(void) {
  for (int i = 0; i < BUCKETS; i++)
    if (histogram[i]) printf("%lld:%lld ", lower_edge(i), histogram[i]);
  printf("\n");
  memset(histogram, 0, sizeof histogram);
}

static void obey(char *line) {
  long long a = 0, b = 0;
  if (sscanf(line, "open %lld", &a) == 1) {
    wanted = made + (int)a;
    if (wanted > CONNECTIONS) fail("open", "too many connections");
    opening_since = now_ns();
  } else if (sscanf(line, "wait %lld %lld", &a, &b) == 2) {
    wait_for = a;
    wait_until = now_ns() + b * 1000000;
  } else if (!strncmp(line, "count", 5)) printf("%lld %lld\n", events, bytes);
  else if (!strncmp(line, "histogram", 9)) tell_histogram();
  else if (!strncmp(line, "close", 5)) close_all();
  else if (sscanf(line, "track %lld", &a) == 1) printf("%d\n", track = (int)a);
  else if (!strncmp(line, "mode ", 5)) printf("%d\n", blank = line[5] == 'b');
  else fail("unknown command", line);
  fflush(stdout);
}

static void answer_late(void) {
  if (opening_since && opened == wanted) {
    printf("%d %lld %lld\n", opened, opening_since, now_ns());
    opening_since = 0;
  } else if (wait_until && (events >= wait_for || now_ns() > wait_until)) {
    printf("%lld %lld\n", events, now_ns());
    wait_until = 0;
  } else return;
  fflush(stdout);
}

static void read_plan(const char *name) {
  FILE *file = fopen(name, "r");
  if (!file) fail(name, strerror(errno));
  size_t room = 0;
  char *line = NULL;
  while (getline(&line, &room, file) > 0) {
    line[strcspn(line, "\n")] = 0;
    plan = realloc(plan, (size_t)(planned + 1) * sizeof *plan);
    plan[planned++] = strdup(line);
  }
  free(line);
  fclose(file);
  if (!planned) fail(name, "holds no line");
}

int main(int argc, char **argv) {
  if (argc < 4) { fprintf(stderr, "usage: load HOST PORT PLAN\n"); return 2; }
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  host = argv[1];
  address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(argv[2])) };
  inet_pton(AF_INET, host, &address.sin_addr);
  read_plan(argv[3]);
  poll_fd = epoll_create1(0);
  struct epoll_event ready[512], event = { .events = EPOLLIN, .data.ptr = NULL };
  epoll_ctl(poll_fd, EPOLL_CTL_ADD, 0, &event);
  for (;;) {
    while (made < wanted && made - opened < WINDOW) connect_next();
    int n = epoll_wait(poll_fd, ready, 512, wait_until ? 20 : -1);
    for (int i = 0; i < n; i++) {
      if (ready[i].data.ptr) { receive(ready[i].data.ptr); continue; }
      char line[128];
      ssize_t got = read(0, line, sizeof line - 1);  // one command at a time: the next waits for the answer
      if (got <= 0) return 0;
      line[got] = 0;
      obey(line);
    }
    answer_late();
  }
}
